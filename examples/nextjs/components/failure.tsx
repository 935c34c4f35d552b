import Link from 'next/link'
import type { JarvisError } from '@jarvis/client'
import { SIGN_IN } from '@/lib/environment'
import type { Words } from '@/lib/words'

/** What stands where JARVIS gave no answer, or refused one. */
export function Failure({ error, words, path }: { error: JarvisError; words: Words; path: string }) {
  const nobody = error.status === 401
  return (
    <section role="alert" className="failure">
      <h1>{words.failed}</h1>
      <p>{error.isTemporary ? words.away : (words.codes[error.code] ?? error.message)}</p>
      {!error.isTemporary && error.hint && <p>{error.hint}</p>}
      <p>
        {/* A page that is loaded whole, so that nothing kept in the browser answers. */}
        <a className="button" href={nobody ? SIGN_IN : path}>
          {nobody ? words.signIn : words.retry}
        </a>
      </p>
      <p className="quiet">
        {words.reference} : <code>{[error.code, error.requestId].filter(Boolean).join(' · ')}</code>
      </p>
      {nobody ? null : <Link href="/">{words.members}</Link>}
    </section>
  )
}

/** What stands above a form that JARVIS refused. */
export function Refused({ code, words }: { code: string | undefined; words: Words }) {
  if (!code) return null
  return (
    <p role="alert" className="notice">
      {words.codes[code] ?? `${words.actionFailed} (${code})`}
    </p>
  )
}
