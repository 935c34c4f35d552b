import type { Jarvis } from './api.ts'
import type { components } from './api.types.ts'
import { dataOf } from './errors.ts'
import type { JarvisSupabase } from './member.ts'
import { waitUntilProcessed } from './sessions.ts'

export type Summary = components['schemas']['Summary']

/** A summary in a list, without its vector. */
export interface SummaryListed {
  id: string
  session_id: string
  summary_text: string
  key_topics: string[]
  sentiment: 'positive' | 'neutral' | 'negative' | 'mixed' | null
  created_at: string
}

/**
 * The summary of an ended session, as soon as it is made; null when there was nothing to sum up, or no consent. JARVIS writes
 * and embeds it when the session ends.
 */
export async function getConversationSummary(jarvis: Jarvis, sessionId: string): Promise<Summary | null> {
  const { summary } = await waitUntilProcessed(jarvis, sessionId)
  return summary ?? null
}

/** The summaries of a member's conversations, newest first. */
export async function listSummaries(supabase: JarvisSupabase, memberId: string, limit = 20): Promise<SummaryListed[]> {
  const columns = 'id, session_id, summary_text, key_topics, sentiment, created_at'
  const query = supabase.from('conversation_summaries').select(columns).eq('member_id', memberId)
  const answer = await query.order('created_at', { ascending: false }).limit(limit)
  return dataOf(answer).map((row) => ({ ...row, key_topics: row.key_topics ?? [] })) as SummaryListed[]
}
