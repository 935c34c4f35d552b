import type { Metadata } from 'next'
import Link from 'next/link'
import { notFound } from 'next/navigation'
import { type Session, type TurnListed, getMemberComplete, getSession, listTurns } from '@jarvis/client'
import { Details } from '@/components/details'
import { FactItem } from '@/components/fact'
import { Failure, Refused } from '@/components/failure'
import { asked, caller } from '@/lib/caller'
import { moment } from '@/lib/format'
import { spoken } from '@/lib/language'
import type { Words } from '@/lib/words'

interface Props {
  params: Promise<{ id: string }>
  searchParams: Promise<{ error?: string }>
}

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await spoken()).heard }
}

export default async function Conversation({ params, searchParams }: Props) {
  const words = await spoken()
  const { id } = await params
  const path = `/conversations/${encodeURIComponent(id)}`
  const { supabase, jarvis } = await caller()
  const read = await asked(async () => {
    const [session, turns] = await Promise.all([getSession(jarvis, id), listTurns(supabase, id)])
    return { session, turns, member: await getMemberComplete(supabase, session.member_id) }
  })
  if ('error' in read) {
    if (read.error.status === 404) notFound()
    return <Failure error={read.error} words={words} path={path} />
  }
  const { session, turns, member } = read.answer
  return (
    <>
      <h1>{words.conversationOf(member ? `${member.first_name} ${member.last_name}` : words.member)}</h1>
      <Refused code={(await searchParams).error} words={words} />
      <Details
        rows={[
          [words.status, words.states[session.state]],
          [words.started, moment(words, session.started_at)],
          [words.ended, session.ended_at && moment(words, session.ended_at)],
        ]}
      />
      <p>
        <Link href={`/adherents/${session.member_id}`}>{words.toMember}</Link>
      </p>
      <section aria-labelledby="heard">
        <h2 id="heard">{words.heard}</h2>
        <Heard turns={turns} words={words} nothing={session.state === 'open' ? words.nothingSaid : words.nothingHeard} />
      </section>
      {session.state === 'open' ? (
        <Going path={`/api/sessions/${encodeURIComponent(id)}`} next={next(turns)} words={words} />
      ) : (
        <Remembered session={session} words={words} path={path} />
      )}
    </>
  )
}

/** The number of the turn that comes next. */
function next(turns: TurnListed[]): number {
  return Math.max(-1, ...turns.map((turn) => turn.turn_number ?? -1)) + 1
}

function Heard({ turns, words, nothing }: { turns: TurnListed[]; words: Words; nothing: string }) {
  if (turns.length === 0) return <p className="empty">{nothing}</p>
  return (
    <ol className="bare turns">
      {turns.map((turn) => (
        <li key={turn.id} className={turn.speaker}>
          <strong>{words[turn.speaker]}</strong> <span>{turn.text}</span>
        </li>
      ))}
    </ol>
  )
}

function Going({ path, next, words }: { path: string; next: number; words: Words }) {
  return (
    <>
      <form action={`${path}/turns`} method="post" className="stack">
        <label htmlFor="text">{words.said}</label>
        <textarea id="text" name="text" required rows={3} maxLength={2000} />
        <input type="hidden" name="number" value={next} />
        <button>{words.record}</button>
      </form>
      <form action={`${path}/close`} method="post">
        <button className="second">{words.closeSession}</button>
      </form>
    </>
  )
}

function Remembered({ session, words, path }: { session: Session; words: Words; path: string }) {
  const without = session.state_reason === 'no_consent' ? words.noConsent : words.nothingRemembered
  const nothing = session.facts.length === 0 && !session.summary
  return (
    <section aria-labelledby="remembered">
      <h2 id="remembered">{words.remembered}</h2>
      {session.state === 'closing' && (
        <p role="status">
          {words.states['closing']} <a href={path}>{words.refresh}</a>
        </p>
      )}
      {session.state !== 'closing' && nothing && <p className="empty">{without}</p>}
      <ul className="bare">
        {session.facts.map((fact) => (
          <FactItem key={fact.id} fact={fact} words={words} certainty={fact.confidence} />
        ))}
      </ul>
      {session.summary && (
        <>
          <h3>{words.summary}</h3>
          <p>{session.summary.summary_text}</p>
        </>
      )}
    </section>
  )
}
