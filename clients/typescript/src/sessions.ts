import type { Jarvis } from './api.ts'
import type { components } from './api.types.ts'
import { JarvisError, dataOf } from './errors.ts'
import type { JarvisSupabase } from './member.ts'

type Schemas = components['schemas']
export type OpenedSession = Schemas['OpenedSession']
export type Session = Schemas['Session']
export type SessionState = Schemas['SessionState']

/** What was said in a turn, and by whom. */
export interface Turn {
  speaker: 'member' | 'assistant'
  /** At most 20 000 characters. */
  text: string
}

/** A session in a list. */
export interface SessionListed {
  session_id: string
  member_id: string
  state: SessionState
  channel: string
  started_at: string
  ended_at: string | null
}

/** Events that one request takes at most. */
const BATCH = 5_000

/** A badge was read: opens a session. For a kiosk. */
export async function openSession(kiosk: Jarvis, badgeId: string): Promise<OpenedSession> {
  return kiosk.post('/sessions', { badge_id: badgeId, channel: 'text' })
}

/**
 * Records what was said, in this order. `first` is the number of the first turn within the session: a turn that comes again
 * under its number is stored once. For a kiosk.
 */
export async function recordTurns(kiosk: Jarvis, sessionId: string, turns: readonly Turn[], first = 0): Promise<void> {
  const events = turns.map(({ speaker, text }, index) => ({
    event_type: speaker === 'member' ? 'user_transcript' : 'ai_transcript',
    transcript: text,
    turn_number: first + index,
    provider_event_id: `${sessionId}:${first + index}`,
  }))
  for (let from = 0; from < events.length; from += BATCH) {
    const path = `/sessions/${encodeURIComponent(sessionId)}/events`
    const { rejected } = await kiosk.post<Schemas['RecordedEvents']>(path, events.slice(from, from + BATCH))
    const refused = rejected[0]
    if (refused) {
      const detail = `turn ${first + from + refused.index}: ${refused.detail}`
      throw new JarvisError(refused.code, 'A turn was refused', { status: 200, detail })
    }
  }
}

/** Ends a session; its memory is then made. Ending it again changes nothing. For a kiosk. */
export async function closeSession(kiosk: Jarvis, sessionId: string): Promise<Schemas['SessionStanding']> {
  return kiosk.post(`/sessions/${encodeURIComponent(sessionId)}/close`, { reason: 'client' })
}

/** A session with its state and its result. */
export async function getSession(jarvis: Jarvis, sessionId: string): Promise<Session> {
  return jarvis.get(`/sessions/${encodeURIComponent(sessionId)}`)
}

/** Waits until the memory of an ended session is made; at most `timeout` milliseconds, 30 000 when absent. */
export async function waitUntilProcessed(jarvis: Jarvis, sessionId: string, timeout = 30_000): Promise<Session> {
  const until = Date.now() + timeout
  for (let pause = 100; ; pause = Math.min(pause * 2, 2_000)) {
    const session = await getSession(jarvis, sessionId)
    if (session.state === 'processed' || session.state === 'empty') return session
    const details = { status: 200, detail: session.last_error ?? undefined }
    if (session.state === 'failed') {
      throw new JarvisError('processing_failed', 'The memory of this session could not be made', details)
    }
    if (Date.now() + pause > until) {
      throw new JarvisError('still_processing', 'The memory of this session is not made yet', details)
    }
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}

/** The sessions of a member, newest first. */
export async function listSessions(supabase: JarvisSupabase, memberId: string, limit = 20): Promise<SessionListed[]> {
  const columns = 'session_id, member_id, state, channel, started_at, ended_at'
  const query = supabase.from('conversation_sessions').select(columns).eq('member_id', memberId)
  const answer = await query.order('started_at', { ascending: false }).limit(limit)
  return dataOf(answer) as SessionListed[]
}

/** A turn as it is stored. */
export interface TurnListed {
  id: string
  speaker: Turn['speaker']
  text: string
  turn_number: number | null
}

/** What was said in a session, in order; empty where the member did not agree to keep their words. */
export async function listTurns(supabase: JarvisSupabase, sessionId: string, limit = 200): Promise<TurnListed[]> {
  const columns = 'id, event_type, transcript, turn_number'
  const query = supabase.from('conversation_events').select(columns).eq('session_id', sessionId)
  const said = query.in('event_type', ['user_transcript', 'ai_transcript']).not('transcript', 'is', null)
  const rows = dataOf(await said.order('timestamp').order('turn_number').order('id').limit(limit))
  return rows.map(({ id, event_type, transcript, turn_number }) => {
    const speaker = event_type === 'user_transcript' ? 'member' : 'assistant'
    return { id, speaker, text: transcript ?? '', turn_number }
  })
}
