import type { Metadata } from 'next'
import { Failure, Refused } from '@/components/failure'
import { asked, kiosk } from '@/lib/caller'
import { spoken } from '@/lib/language'

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await spoken()).conversation }
}

export default async function Desk({ searchParams }: { searchParams: Promise<{ error?: string }> }) {
  const words = await spoken()
  const found = await asked(kiosk)
  if ('error' in found) return <Failure error={found.error} words={words} path="/conversations" />
  return (
    <section className="narrow">
      <h1>{words.conversation}</h1>
      {found.answer ? (
        <>
          <p>{words.conversationLead}</p>
          <Refused code={(await searchParams).error} words={words} />
          <form action="/api/sessions" method="post" className="stack">
            <label htmlFor="badge">{words.badge}</label>
            <input id="badge" name="badge" required maxLength={128} autoComplete="off" />
            <button>{words.openSession}</button>
          </form>
        </>
      ) : (
        <div className="empty">
          <p>{words.noKiosk}</p>
          <p>{words.noKioskHint}</p>
        </div>
      )}
    </section>
  )
}
