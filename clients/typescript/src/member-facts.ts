import type { Jarvis } from './api.ts'
import type { components } from './api.types.ts'
import { JarvisError } from './errors.ts'
import { type Session, type Turn, closeSession, getSession, recordTurns, waitUntilProcessed } from './sessions.ts'

export type Fact = components['schemas']['Fact']
export type LivingFact = components['schemas']['LivingFact']

/** What was read out of a conversation. */
export interface Extracted {
  facts: Fact[]
  state: 'processed' | 'empty'
  /** Why nothing was kept, such as `no_consent`. */
  reason: string | null
}

/**
 * Records a conversation, ends it, and waits for the facts that JARVIS reads out of it: each with the member's own words as
 * evidence, none against the member's consents. The same call again stores nothing twice. For a kiosk, and its own session.
 */
export async function extractFactsFromConversation(
  kiosk: Jarvis,
  memberId: string,
  sessionId: string,
  transcript: readonly Turn[],
): Promise<Extracted> {
  const session = await getSession(kiosk, sessionId)
  if (session.member_id !== memberId) {
    throw new JarvisError('wrong_member', 'The session belongs to another member', { status: 409, detail: sessionId })
  }
  await recordTurns(kiosk, sessionId, transcript)
  await closeSession(kiosk, sessionId)
  return extracted(await waitUntilProcessed(kiosk, sessionId))
}

function extracted({ facts, state, state_reason }: Session): Extracted {
  return { facts, state: state === 'empty' ? 'empty' : 'processed', reason: state_reason ?? null }
}

/** What is remembered of a member, with its life and how certain it still is. For a person; staff do not see health. */
export async function listFacts(jarvis: Jarvis, memberId: string): Promise<LivingFact[]> {
  const { facts } = await jarvis.get<components['schemas']['Facts']>(`/members/${encodeURIComponent(memberId)}/facts`)
  return facts
}
