import type { Metadata } from 'next'
import Link from 'next/link'
import { notFound } from 'next/navigation'
import { type GymMemberComplete, getMemberComplete, listFacts, listSessions, listSummaries } from '@jarvis/client'
import { Ask } from '@/components/ask'
import { Details } from '@/components/details'
import { FactItem } from '@/components/fact'
import { Failure } from '@/components/failure'
import { askMemory } from './ask-memory'
import { asked, caller } from '@/lib/caller'
import { day, measured, moment } from '@/lib/format'
import { spoken } from '@/lib/language'
import type { Words } from '@/lib/words'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await spoken()).profile }
}

export default async function Member({ params }: { params: Promise<{ id: string }> }) {
  const words = await spoken()
  const { id } = await params
  if (!UUID.test(id)) notFound()
  const { supabase, jarvis } = await caller()
  const read = await asked(async () => {
    const [member, summaries, sessions] = await Promise.all([
      getMemberComplete(supabase, id),
      listSummaries(supabase, id),
      listSessions(supabase, id),
    ])
    return member && { member, summaries, sessions, facts: await listFacts(jarvis, id) }
  })
  if ('error' in read) return <Failure error={read.error} words={words} path={`/adherents/${id}`} />
  if (!read.answer) notFound()
  const { member, summaries, sessions, facts } = read.answer
  return (
    <>
      <h1>
        {member.first_name} {member.last_name}
      </h1>
      <p>
        <span className={member.is_active ? 'tag good' : 'tag'}>{member.is_active ? words.active : words.inactive}</span>{' '}
        {words.badge} <code>{member.badge_id}</code>
      </p>
      <div className="cards">
        <Profile member={member} words={words} />
        <Fitness member={member} words={words} />
        <Preferences member={member} words={words} />
      </div>
      <section aria-labelledby="facts">
        <h2 id="facts">{words.facts}</h2>
        {facts.length === 0 && <p className="empty">{words.noFacts}</p>}
        <ul className="bare">
          {facts.map(({ fact, certainty, life }) => (
            <FactItem key={fact.id} fact={fact} words={words} certainty={certainty} note={words.lives[life]} />
          ))}
        </ul>
      </section>
      <section aria-labelledby="ask">
        <h2 id="ask">{words.ask}</h2>
        <Ask
          action={askMemory.bind(null, id)}
          words={{ label: words.askLabel, hint: words.askHint, button: words.askButton }}
        />
      </section>
      <section aria-labelledby="summaries">
        <h2 id="summaries">{words.summaries}</h2>
        {summaries.length === 0 && <p className="empty">{words.noSummaries}</p>}
        <ul className="bare">
          {summaries.map((summary) => (
            <li key={summary.id} className="fact">
              <p>
                <Link href={`/conversations/${summary.session_id}`}>
                  <time dateTime={summary.created_at}>{moment(words, summary.created_at)}</time>
                </Link>{' '}
                {summary.sentiment && <span className={`tag ${summary.sentiment}`}>{words.sentiments[summary.sentiment]}</span>}
              </p>
              <p>{summary.summary_text}</p>
            </li>
          ))}
        </ul>
      </section>
      <section aria-labelledby="sessions">
        <h2 id="sessions">{words.sessions}</h2>
        {sessions.length === 0 && <p className="empty">{words.noSessions}</p>}
        <ul>
          {sessions.map((session) => (
            <li key={session.session_id}>
              <Link href={`/conversations/${session.session_id}`}>
                <time dateTime={session.started_at}>{moment(words, session.started_at)}</time>
              </Link>
              {` · ${words.channels[session.channel] ?? session.channel} · ${words.states[session.state]}`}
            </li>
          ))}
        </ul>
      </section>
    </>
  )
}

interface Part {
  member: GymMemberComplete
  words: Words
}

function Profile({ member, words }: Part) {
  return (
    <section aria-labelledby="profile">
      <h2 id="profile">{words.profile}</h2>
      <Details
        rows={[
          [words.membership, member.membership_type],
          [words.memberSince, day(words, member.member_since)],
          [words.expires, member.membership_expires && day(words, member.membership_expires)],
          [words.email, member.email],
          [words.phone, member.phone],
          [words.visits, String(member.total_visits)],
          [words.lastVisit, member.last_visit ? day(words, member.last_visit) : words.never],
          [words.notes, member.member_notes],
        ]}
      />
    </section>
  )
}

function Fitness({ member, words }: Part) {
  const fitness = member.fitness_profile
  const kg = (value: number | null) => (value === null ? null : measured(words, value, 'kg'))
  return (
    <section aria-labelledby="fitness">
      <h2 id="fitness">{words.fitness}</h2>
      {fitness ? (
        <Details
          rows={[
            [words.goals, fitness.primary_goals.join(', ')],
            [words.level, fitness.fitness_level && words.levels[fitness.fitness_level]],
            [words.frequency, fitness.workout_frequency_per_week?.toString()],
            [words.height, fitness.height_cm === null ? null : measured(words, fitness.height_cm, 'cm')],
            [words.weight, kg(fitness.current_weight_kg)],
            [words.targetWeight, kg(fitness.target_weight_kg)],
          ]}
        />
      ) : (
        <p className="empty">{words.noFitness}</p>
      )}
    </section>
  )
}

function Preferences({ member, words }: Part) {
  const preferences = member.preferences
  return (
    <section aria-labelledby="preferences">
      <h2 id="preferences">{words.preferences}</h2>
      {preferences ? (
        <Details
          rows={[
            [words.spokenLanguage, words.languages[preferences.language]],
            [words.tone, words.tones[preferences.communication_style]],
            [words.feedback, words.feedbacks[preferences.feedback_style]],
          ]}
        />
      ) : (
        <p className="empty">{words.noPreferences}</p>
      )}
    </section>
  )
}
