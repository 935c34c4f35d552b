import { cookies, headers } from 'next/headers'
import { redirect } from 'next/navigation'
import { cache } from 'react'
import { createServerClient } from '@supabase/ssr'
import { type Database, Jarvis, JarvisError, type JarvisSupabase, kioskTokens } from '@jarvis/client'
import { SIGN_IN, cookieOptions, environment, optional } from './environment'
import { language } from './language'

/** Who is signed in, and what they may ask. */
export interface Caller {
  supabase: JarvisSupabase
  jarvis: Jarvis
}

/** The account as JARVIS knows it: its role and gyms stand there and nowhere else. */
export interface Account {
  id: string
  email: string
  role: string
  gym_access: string[]
}

/** supabase-js with the session of the cookies. */
export const supabaseOfRequest = cache(async (): Promise<JarvisSupabase> => {
  const store = await cookies()
  return createServerClient<Database>(environment('NEXT_PUBLIC_SUPABASE_URL'), environment('NEXT_PUBLIC_SUPABASE_ANON_KEY'), {
    cookieOptions: cookieOptions(await headers()),
    cookies: {
      getAll: () => store.getAll(),
      setAll: (renewed) => {
        try {
          for (const { name, value, options } of renewed) store.set(name, value, options)
        } catch {
          // A page cannot write cookies; proxy.ts renewed them before.
        }
      },
    },
  })
})

/** The person who is signed in; whoever is not goes to the page where people sign in. */
export const caller = cache(async (): Promise<Caller> => {
  const supabase = await supabaseOfRequest()
  // JARVIS verifies the token with each request: nothing here is decided by it.
  const token = (await supabase.auth.getSession()).data.session?.access_token
  if (!token) redirect(SIGN_IN)
  return { supabase, jarvis: await native(() => token) }
})

/** The account of the person who is signed in. */
export const account = cache(async (): Promise<Account> => {
  const { account } = await (await caller()).jarvis.get<{ account: Account }>('/me')
  return account
})

let tokens: (() => Promise<string>) | undefined

/**
 * The kiosk that this application is, for a person of its gym; undefined when it is none. The key stays on the server: people
 * act through it, and so only those who work in its gym.
 */
export async function kiosk(): Promise<Jarvis | undefined> {
  const [kioskId, key] = [optional('JARVIS_KIOSK_ID'), optional('JARVIS_KIOSK_KEY')]
  if (!kioskId || !key) return undefined
  tokens ??= kioskTokens(environment('NEXT_PUBLIC_SUPABASE_URL'), { kioskId, privateKey: JSON.parse(key) as JsonWebKey })
  const jarvis = await native(tokens)
  const [{ kiosk }, { role, gym_access }] = await Promise.all([jarvis.get<{ kiosk: { gym_id: string } }>('/me'), account()])
  if (role !== 'super_admin' && !gym_access.includes(kiosk.gym_id)) {
    throw new JarvisError('forbidden', 'not a kiosk of your gym', { status: 403 })
  }
  return jarvis
}

async function native(token: () => string | Promise<string>): Promise<Jarvis> {
  return new Jarvis({ url: environment('NEXT_PUBLIC_SUPABASE_URL'), token, language: await language() })
}

/** What came of asking JARVIS: its answer, or why there is none. Other errors are defects and go on. */
export async function asked<T>(ask: () => Promise<T>): Promise<{ answer: T } | { error: JarvisError }> {
  try {
    return { answer: await ask() }
  } catch (error) {
    if (error instanceof JarvisError) return { error }
    throw error
  }
}
