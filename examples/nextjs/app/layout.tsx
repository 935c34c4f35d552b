import type { Metadata } from 'next'
import Link from 'next/link'
import type { ReactNode } from 'react'
import { account, asked, supabaseOfRequest } from '@/lib/caller'
import { spoken } from '@/lib/language'
import './styles.css'

export async function generateMetadata(): Promise<Metadata> {
  const { application } = await spoken()
  return { title: { default: application, template: '%s · JARVIS' } }
}

export default async function Layout({ children }: { children: ReactNode }) {
  const words = await spoken()
  const { data } = await (await supabaseOfRequest()).auth.getSession()
  // When JARVIS does not say who this is, the page below says why.
  const who = data.session ? await asked(account) : undefined
  const person = who && 'answer' in who ? who.answer : undefined
  return (
    <html lang={words.language}>
      <body>
        <a className="skip" href="#content">
          {words.skip}
        </a>
        <header>
          <Link className="brand" href="/">
            JARVIS
          </Link>
          {data.session && (
            <nav aria-label={words.navigation}>
              <Link href="/">{words.members}</Link>
              <Link href="/conversations">{words.conversation}</Link>
            </nav>
          )}
          <div className="who">
            {person && (
              <span>
                {person.email} <small>({words.roles[person.role] ?? person.role})</small>
              </span>
            )}
            <form action="/api/language" method="post">
              <button className="plain" name="language" value={words.language === 'fr' ? 'en' : 'fr'}>
                <span lang={words.language === 'fr' ? 'en' : 'fr'}>{words.otherLanguage}</span>
              </button>
            </form>
            {data.session && (
              <form action="/api/auth/sign-out" method="post">
                <button className="plain">{words.signOut}</button>
              </form>
            )}
          </div>
        </header>
        <main id="content">{children}</main>
      </body>
    </html>
  )
}
