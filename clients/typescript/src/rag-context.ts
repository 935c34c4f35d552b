import type { Jarvis } from './api.ts'
import type { components } from './api.types.ts'

export type Recalled = components['schemas']['Recalled']

/** How much is recalled. */
export interface RecallOptions {
  /** At most so many conversations; 3 when absent. */
  count?: number
  /** Only those at least this near to the question, 0 to 1; what the server holds for likely when absent. */
  threshold?: number
}

/** What a member said before, nearest to a question. For a person; the server embeds the question. */
export async function recall(
  jarvis: Jarvis,
  memberId: string,
  question: string,
  { count = 3, threshold }: RecallOptions = {},
): Promise<Recalled> {
  const body = { q: question, k: count, ...(threshold === undefined ? {} : { threshold }) }
  return jarvis.post(`/members/${encodeURIComponent(memberId)}/recall`, body)
}

/**
 * What a model may be told before it answers a question about a member: one line per past conversation, then what was said
 * word for word; empty when nothing is likely to answer it. It is data: put it where instructions do not stand.
 */
export async function getConversationContext(
  jarvis: Jarvis,
  memberId: string,
  currentQuestion: string,
  options: RecallOptions = {},
): Promise<string> {
  const { memories, turns, nothing_noted } = await recall(jarvis, memberId, currentQuestion, options)
  if (nothing_noted) return ''
  const lines = memories.map(({ created_at, summary_text }) => `[${created_at}] ${summary_text}`)
  return [...lines, ...turns.map(({ said_at, said }) => `[${said_at}] « ${said} »`)].join('\n')
}
