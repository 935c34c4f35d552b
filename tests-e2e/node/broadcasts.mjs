// People of two gyms who broadcast with Supabase's own client; prints what each heard as JSON.
import { createClient } from '@supabase/supabase-js'

const { SUPABASE_URL: url, SUPABASE_ANON_KEY: anon, SERVICE_KEY: service } = process.env
const told = { heard: {} }
const auth = { autoRefreshToken: false, persistSession: false }
const client = (key, realtime = {}) => createClient(url, key, { auth, realtime })
const signedIn = async (email, password, realtime) => {
  const one = client(anon, realtime)
  const { error } = await one.auth.signInWithPassword({ email, password })
  if (error) throw error
  return one
}
const subscribed = (channel) =>
  new Promise((resolve) => channel.subscribe((status, error) => resolve(error ? `${status} ${error.message}` : status)))
/** Joins, and notes what is heard. */
const joined = async (name, one, topic, config = {}) => {
  const channel = one.channel(topic, { config })
  told.heard[name] = []
  channel.on('broadcast', { event: '*' }, ({ event, payload }) => {
    const bytes = payload instanceof ArrayBuffer ? [...new Uint8Array(payload)] : payload
    told.heard[name].push([event, bytes])
  })
  told[`${name}_joins`] = await subscribed(channel)
  return channel
}
/** Waits until somebody heard so many messages. */
const heard = async (name, count) => {
  for (let tries = 0; told.heard[name].length < count; tries++) {
    if (tries > 200) throw new Error(`${name} heard ${JSON.stringify(told.heard[name])}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const { CLAIRE: claire, HUGO: hugo, PAULA: paula, EVERYWHERE: everywhere } = process.env
const [password, other, paris, all] = [claire, hugo, paula, everywhere].map((pair) => pair.split(' '))
const claires = await signedIn(...password)
const hugos = await signedIn(...other, { params: {}, vsn: '1.0.0' })
const paulas = await signedIn(...paris)
const owners = await signedIn(...all)

const desk = await joined('claire', claires, 'desk', { broadcast: { ack: true, self: true } })
const silent = await joined('hugo', hugos, 'desk')
const foreign = await joined('paula', paulas, 'desk', { broadcast: { ack: true } })
await joined('owner', owners, 'gym:lyon:desk')
await joined('owner_paris', owners, 'gym:paris:desk')
told.owner_without_gym = await subscribed(owners.channel('desk'))
told.paula_in_lyon = await subscribed(paulas.channel('gym:lyon:desk'))
told.nobody = await subscribed(client(anon).channel('desk'))

told.acknowledged = await desk.send({ type: 'broadcast', event: 'arrived', payload: { badge: 'é' } })
told.bytes = await desk.send({ type: 'broadcast', event: 'bytes', payload: new Uint8Array([0, 255]).buffer })
told.of_version_one = await silent.send({ type: 'broadcast', event: 'from_hugo', payload: { n: 1 } })
await heard('claire', 3)
await heard('owner', 3)
told.in_paris = await foreign.send({ type: 'broadcast', event: 'paris', payload: {} })
await heard('owner_paris', 1)
told.presence = await desk.track({ here: true })

told.over_http = await claires.channel('desk').httpSend('over_http', { n: 2 })
const key = client(service)
told.of_the_service = await key.channel('gym:lyon:desk').httpSend('service', new Uint8Array([7]))
told.of_nobody = await client(anon)
  .channel('desk')
  .httpSend('nobody', {})
  .catch((error) => error.message)
const batch = { messages: [{ topic: 'gym:lyon:desk', event: 'batch', payload: { n: 3 } }] }
const headers = { apikey: service, 'content-type': 'application/json' }
const sent = await fetch(`${url}/realtime/v1/api/broadcast`, { method: 'POST', headers, body: JSON.stringify(batch) })
told.batch = sent.status
await heard('claire', 6)

told.left = await claires.removeChannel(desk)
const last = await owners.channel('gym:lyon:desk')
told.after_leaving = await last.send({ type: 'broadcast', event: 'later', payload: {} })
await heard('hugo', 4)
for (const one of [claires, hugos, paulas, owners, key]) await one.removeAllChannels()
console.log(JSON.stringify(told))
process.exit(0)
