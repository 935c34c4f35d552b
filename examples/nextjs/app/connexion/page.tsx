import type { Metadata } from 'next'
import { spoken } from '@/lib/language'

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await spoken()).signIn }
}

export default async function SignIn({ searchParams }: { searchParams: Promise<{ error?: string }> }) {
  const words = await spoken()
  const { error } = await searchParams
  return (
    <section className="narrow">
      <h1>{words.signIn}</h1>
      <p>{words.signInLead}</p>
      {error && (
        <p role="alert" className="notice">
          {words.signInErrors[error] ?? words.signInError}
        </p>
      )}
      <form action="/api/auth/sign-in" method="post" className="stack">
        <label htmlFor="email">{words.email}</label>
        <input id="email" name="email" type="email" autoComplete="username" required />
        <label htmlFor="password">{words.password}</label>
        <input id="password" name="password" type="password" autoComplete="current-password" required />
        <button>{words.signIn}</button>
      </form>
    </section>
  )
}
