// Everything this package offers, against a running JARVIS. The variables are those of the README.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import {
  type Database,
  Jarvis,
  JarvisError,
  closeSession,
  extractFactsFromConversation,
  getConversationContext,
  getConversationSummary,
  getMemberComplete,
  kioskTokens,
  listFacts,
  listMembers,
  listSessions,
  listSummaries,
  openSession,
  pairKiosk,
  recall,
  recordTurns,
} from '../src/index.ts'

/** A variable that must be set. */
function variable(name: string): string {
  const value = process.env[name]
  assert(value, `${name} is not set`)
  return value
}

const url = variable('NEXT_PUBLIC_SUPABASE_URL')
const [badge, email, password] = [variable('BADGE'), variable('EMAIL'), variable('PASSWORD')]
const KNEE = "J'ai mal au genou droit depuis janvier, plus de squats pour moi"
const GOAL = "mon objectif c'est de perdre cinq kilos avant l'été"
const NOBODY = '00000000-0000-4000-8000-000000000000'

const supabase = createClient<Database>(url, variable('NEXT_PUBLIC_SUPABASE_ANON_KEY'), {
  auth: { persistSession: false, autoRefreshToken: false },
})
const signedIn = await supabase.auth.signInWithPassword({ email, password })
assert.equal(signedIn.error, null)
const person = new Jarvis({ url, token: () => signedIn.data.session?.access_token ?? '' })
const { key } = await pairKiosk(url, variable('KIOSK_CODE'))
const kiosk = new Jarvis({ url, token: kioskTokens(url, key) })

const code = (expected: string) => (error: unknown) => error instanceof JarvisError && error.code === expected

test('a conversation becomes facts, a summary and the context of the next one', async () => {
  const { session_id, member, context } = await openSession(kiosk, ` ${badge.toLowerCase()} `)
  assert.equal(context.facts.length, 0)
  const transcript = [
    { speaker: 'member', text: KNEE },
    { speaker: 'assistant', text: "D'accord." },
    { speaker: 'member', text: GOAL },
  ] as const
  await assert.rejects(extractFactsFromConversation(kiosk, NOBODY, session_id, transcript), code('wrong_member'))
  const extracted = await extractFactsFromConversation(kiosk, member.id, session_id, transcript)
  assert.equal(extracted.state, 'processed')
  assert.deepEqual(extracted.facts.map((fact) => fact.category).sort(), ['goal', 'injury'])
  assert(extracted.facts.every((fact) => [KNEE, GOAL].some((said) => said.includes(fact.source_quote ?? 'no quote'))))
  // Again, as after an answer that was lost: the same facts, none doubled.
  const again = await extractFactsFromConversation(kiosk, member.id, session_id, transcript)
  assert.deepEqual(again.facts.map(({ id }) => id).sort(), extracted.facts.map(({ id }) => id).sort())
  const standing = await closeSession(kiosk, session_id)
  assert.equal(standing.already_closed, true)

  const summary = await getConversationSummary(kiosk, session_id)
  assert(summary)
  assert(summary.summary_text.includes('genou'))
  const [listed] = await listSummaries(supabase, member.id)
  assert.deepEqual([listed?.id, listed?.session_id], [summary.id, session_id])
  const sessions = await listSessions(supabase, member.id)
  assert.deepEqual([sessions.length, sessions[0]?.session_id, sessions[0]?.state], [1, session_id, 'processed'])
  const facts = await listFacts(person, member.id)
  assert.deepEqual(facts.map(({ life }) => life), ['active', 'active'])

  const told = await getConversationContext(person, member.id, 'Ai-je mal quelque part ?')
  assert.match(told, /^\[\d{4}-.*genou droit/m)
  assert.equal((await recall(person, member.id, 'genou', { count: 1, threshold: 0 })).memories.length, 1)
  const next = await openSession(kiosk, badge)
  assert.match(next.context.prompt, /genou droit/)
  await closeSession(kiosk, next.session_id)
})

test('a member with their modules', async () => {
  const { members, total } = await listMembers(supabase, { search: badge })
  assert.deepEqual([total, members[0]?.badge_id], [1, badge])
  const member = await getMemberComplete(supabase, members[0]?.id ?? '')
  assert.equal(member?.fitness_profile?.fitness_level, 'advanced')
  assert.equal(member.preferences?.feedback_style, 'motivating')
  assert.equal(await getMemberComplete(supabase, NOBODY), null)
  for (const odd of ['x%', 'x_', '"', '\\', 'a,b)', "d'été (", '*']) {
    assert.equal((await listMembers(supabase, { search: odd })).total, odd === '*' ? (await listMembers(supabase)).total : 0)
  }
})

test('errors have the codes of JARVIS, PostgREST and PostgreSQL', async () => {
  await assert.rejects(openSession(kiosk, 'nobody'), code('badge_unknown'))
  await assert.rejects(openSession(person, badge), code('forbidden'))
  await assert.rejects(recall(person, NOBODY, 'genou'), code('member_not_found'))
  await assert.rejects(recordTurns(kiosk, 'nowhere', [{ speaker: 'member', text: 'Bonjour' }]), code('session_not_found'))
  await assert.rejects(getMemberComplete(supabase, 'no id'), code('22P02'))
  const nobody = createClient<Database>(url, variable('NEXT_PUBLIC_SUPABASE_ANON_KEY'), { auth: { persistSession: false } })
  await assert.rejects(listMembers(nobody), code('42501'))
  await assert.rejects(pairKiosk(url, 'ABCD-EFGH'), code('pairing_code_invalid'))
})
