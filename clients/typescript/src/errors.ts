import type { PostgrestError } from '@supabase/supabase-js'
import type { components } from './api.types.ts'

type Problem = components['schemas']['Problem']

/** What an error says beside its code. */
export interface ErrorDetails {
  /** The HTTP status; 0 when there was no answer. */
  status: number
  /** What it is about: a field and what it must be, or the name of a consent. */
  detail?: string | undefined
  /** What to do about it. */
  hint?: string | undefined
  /** The id of the request, as JARVIS's log names it. */
  requestId?: string | undefined
  /** After how many seconds another try makes sense. */
  retryAfter?: number | undefined
  cause?: unknown
}

/**
 * Everything that can go wrong. `code` is stable, decide by it: JARVIS's own (`badge_unknown`, `rate_limited`, …), PostgREST's
 * or PostgreSQL's for a request to the data API (`PGRST116`, `42501`), or one of this package:
 *
 * - `unreachable`: no answer, neither good nor bad
 * - `timeout`: no answer in time
 * - `unexpected_answer`: something answered that is not JARVIS, such as a proxy
 * - `wrong_member`: the session belongs to another member
 * - `processing_failed`: the memory of a session could not be made
 * - `still_processing`: it is not made yet
 */
export class JarvisError extends Error {
  override readonly name = 'JarvisError'
  readonly code: string
  readonly status: number
  readonly detail: string | undefined
  readonly hint: string | undefined
  readonly requestId: string | undefined
  readonly retryAfter: number | undefined

  constructor(code: string, message: string, details: ErrorDetails) {
    super(message, { cause: details.cause })
    this.code = code
    this.status = details.status
    this.detail = details.detail
    this.hint = details.hint
    this.requestId = details.requestId
    this.retryAfter = details.retryAfter
  }

  /** Whether JARVIS is away or overloaded, so that the same request may succeed later. */
  get isTemporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502
  }
}

/** The error that a native answer tells of. */
export function fromAnswer(response: Response, text: string): JarvisError {
  const problem = problemIn(text)
  const retryAfter = Number(response.headers.get('retry-after') ?? NaN)
  const details = { status: response.status, retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined }
  if (!problem) {
    return new JarvisError('unexpected_answer', `HTTP ${response.status} without a problem document`, details)
  }
  return new JarvisError(problem.code, problem.title, {
    ...details,
    detail: problem.detail ?? undefined,
    hint: problem.hint,
    requestId: problem.request_id,
  })
}

function problemIn(text: string): Problem | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const isProblem = typeof value === 'object' && value !== null && 'code' in value && 'title' in value
  return isProblem ? (value as Problem) : undefined
}

/** The error of a request that got no answer. */
export function withoutAnswer(cause: unknown): JarvisError {
  const late = cause instanceof Error && cause.name === 'TimeoutError'
  const message = late ? 'JARVIS does not answer in time' : 'JARVIS cannot be reached'
  return new JarvisError(late ? 'timeout' : 'unreachable', message, { status: 0, cause })
}

/** What a request to the data API brings back. */
interface DataAnswer<T> {
  data: T
  error: PostgrestError | null
  status: number
}

/** The data of an answer of supabase-js; its error is thrown. */
export function dataOf<T>(answer: DataAnswer<T>): NonNullable<T> {
  const data = dataOrNull(answer)
  if (data === null || data === undefined) {
    throw new JarvisError('unexpected_answer', 'The data API answered without data', { status: answer.status })
  }
  return data
}

/** As {@link dataOf}, where nothing is an answer too. */
export function dataOrNull<T>({ data, error, status }: DataAnswer<T>): T {
  if (!error) return data
  if (status === 0) throw withoutAnswer(error)
  throw new JarvisError(error.code || 'unexpected_answer', error.message, {
    status,
    detail: error.details || undefined,
    hint: error.hint || undefined,
    cause: error,
  })
}
