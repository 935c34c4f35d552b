export { Jarvis, type JarvisOptions } from './api.ts'
export { type SummaryListed, type Summary, getConversationSummary, listSummaries } from './conversation-summary.ts'
export type { Database, Json, Tables } from './database.types.ts'
export { type ErrorDetails, JarvisError } from './errors.ts'
export { type Kiosk, type KioskKey, kioskTokens, pairKiosk } from './kiosk.ts'
export {
  type GymMemberComplete,
  type GymMemberCore,
  type JarvisSupabase,
  type MemberFitnessProfile,
  type MemberListed,
  type MemberPage,
  type MemberPreferences,
  getMemberComplete,
  listMembers,
} from './member.ts'
export { type Extracted, type Fact, type LivingFact, extractFactsFromConversation, listFacts } from './member-facts.ts'
export { type RecallOptions, type Recalled, getConversationContext, recall } from './rag-context.ts'
export {
  type OpenedSession,
  type Session,
  type SessionListed,
  type SessionState,
  type Turn,
  type TurnListed,
  closeSession,
  getSession,
  listSessions,
  listTurns,
  openSession,
  recordTurns,
  waitUntilProcessed,
} from './sessions.ts'
