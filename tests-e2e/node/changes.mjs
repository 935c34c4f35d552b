// People who listen to tables with Supabase's own client, while others change them; prints what each heard as JSON.
import { createClient } from '@supabase/supabase-js'

const { SUPABASE_URL: url, SUPABASE_ANON_KEY: anon, SERVICE_KEY: service } = process.env
const { LYON: lyon, SOPHIE: sophie, PAUL: paul, SESSION: session } = process.env
const told = { heard: {}, statuses: {}, system: {} }
const auth = { autoRefreshToken: false, persistSession: false }
const client = (key) => createClient(url, key, { auth })
const signedIn = async (pair) => {
  const [email, password] = pair.split(' ')
  const one = client(anon)
  const { error } = await one.auth.signInWithPassword({ email, password })
  if (error) throw error
  return one
}
const until = async (what, done) => {
  for (let tries = 0; !done(); tries++) {
    if (tries > 400) throw new Error(`${what}: ${JSON.stringify(told)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
/** Listens; notes what is heard, what the system says, and how the subscription goes. */
const listening = async (name, one, filters, topic = name) => {
  const channel = one.channel(topic)
  told.heard[name] = []
  told.statuses[name] = []
  told.system[name] = []
  for (const filter of [filters].flat()) {
    channel.on('postgres_changes', filter, (change) => told.heard[name].push(change))
  }
  channel.on('system', {}, ({ status, message }) => told.system[name].push(`${status} ${message}`))
  channel.subscribe((status, error) => told.statuses[name].push(error ? `${status} ${error.message}` : status))
  await until(name, () => told.statuses[name].length > 0)
  if (told.statuses[name][0] === 'SUBSCRIBED') await until(name, () => told.system[name].length > 0)
  return channel
}
const good = ({ data, error }) => {
  if (error) throw new Error(JSON.stringify(error))
  return data
}
/** Until somebody heard it. A row is read after its change: the next change waits, or it would be told in its place. */
const settled = async (names, done) => {
  for (const name of names) await until(name, () => told.heard[name].some(done))
  await new Promise((resolve) => setTimeout(resolve, 300))
}
const of = (key, type = 'INSERT') => (change) => change.eventType === type && change.new.fact_key === key

const manager = await signedIn(process.env.CLAIRE)
const staff = await signedIn(process.env.HUGO)
const paris = await signedIn(process.env.PAULA)
const key = client(service)
const facts = { event: '*', schema: 'public', table: 'member_facts' }

await listening('manager', manager, facts)
await listening('staff', staff, facts)
await listening('paris', paris, facts)
await listening('service', key, { event: '*', schema: 'public', table: 'conversation_summaries' }, 'gym:lyon:s')
await listening('anon', client(anon), facts)
for (const [name, filter] of [
  ['no_table', { event: '*', schema: 'public', table: 'nowhere' }],
  ['hidden_schema', { event: '*', schema: 'jarvis', table: 'consent_ledger' }],
  ['no_value', { ...facts, filter: 'id=eq.nonsense' }],
  ['no_comparison', { ...facts, filter: 'fact_key=like.a' }],
  ['vector', { event: '*', schema: 'public', table: 'conversation_summaries', filter: 'embedding=eq.[1]' }],
]) {
  await listening(name, manager, filter)
}
const members = { event: 'UPDATE', schema: 'public', table: 'gym_members_v2' }
const values = { eq: 'eq.7', neq: 'neq.7', lt: 'lt.7', lte: 'lte.7', gt: 'gt.7', gte: 'gte.7', in: 'in.(6,8)' }
for (const [name, condition] of Object.entries(values)) {
  await listening(name, manager, { ...members, filter: `total_visits=${condition}` })
}
await listening('everything', manager, [
  { event: 'INSERT', schema: 'public' },
  { event: 'DELETE', schema: 'public', table: 'member_facts' },
])

// Facts of Lyon: one of health, one that is none.
const fact = (category, fact_key, fact_value, member_id = sophie) => ({ member_id, category, fact_key, fact_value })
const insert = async (row) => good(await key.from('member_facts').insert(row).select().single())
const knee = await insert(fact('injury', 'knee_pain', { location: 'right_knee' }))
await settled(['manager', 'everything'], of('knee_pain'))
const goal = await insert(fact('goal', 'marathon', { km: 42 }))
await settled(['manager', 'staff', 'everything'], of('marathon'))
await insert(fact('goal', 'of_paris', { km: 10 }, paul))
await settled(['paris'], of('of_paris'))
good(await key.from('member_facts').update({ fact_value: { km: 21 } }).eq('id', goal.id))
await settled(['manager', 'staff'], of('marathon', 'UPDATE'))
good(await key.from('member_facts').delete().eq('id', goal.id))
await settled(['manager', 'staff', 'everything'], (change) => change.eventType === 'DELETE')
Object.assign(told, { knee: knee.id, goal: goal.id })

for (const total_visits of [6, 7, 8, 7]) {
  const heard = told.heard.lte.length + told.heard.gte.length
  good(await key.from('gym_members_v2').update({ total_visits }).eq('id', sophie))
  await until('visits', () => told.heard.lte.length + told.heard.gte.length > heard)
  await settled([])
}

const summary = { session_id: session, member_id: sophie, gym_id: lyon, summary_text: 'Marathon au printemps.' }
const embedding = `[1${',0'.repeat(1535)}]`
told.written = await key.from('conversation_summaries').insert({ ...summary, embedding })
await settled(['service'], ({ new: row }) => row.summary_text === summary.summary_text)

// Rights are taken while somebody listens: a change that comes at once is not told any more.
good(await key.from('users').update({ is_active: false }).eq('email', 'hugo@example.org'))
const before = told.heard.staff.length
await insert(fact('goal', 'after', { km: 5 }))
await settled(['manager'], of('after'))
told.after_rights = told.heard.staff.length - before

// The connection that hears of changes is cut: everybody is told, and listens again without help.
const systems = told.system.manager.length
good(await key.rpc('cut_listeners'))
await until('recovery', () => told.system.manager.slice(systems).some((one) => one.startsWith('ok')))
await insert(fact('goal', 'recovered', { km: 1 }))
await settled(['manager'], of('recovered'))
for (const one of [manager, staff, paris, key]) await one.removeAllChannels()
console.log(JSON.stringify(told))
process.exit(0)
