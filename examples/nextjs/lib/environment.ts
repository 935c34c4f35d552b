import type { CookieOptionsWithName } from '@supabase/ssr'

/** The page where people sign in. */
export const SIGN_IN = '/connexion'

type Name = 'NEXT_PUBLIC_SUPABASE_URL' | 'NEXT_PUBLIC_SUPABASE_ANON_KEY' | 'JARVIS_KIOSK_ID' | 'JARVIS_KIOSK_KEY' | 'GYM_TIME_ZONE'

/** A variable, read when it is needed and not when the application is built; empty when it may be missing and is. */
export function optional(name: Name): string {
  return process.env[name] ?? ''
}

/** A variable without which nothing works. */
export function environment(name: Name): string {
  const value = optional(name)
  if (!value) throw new Error(`${name} is not set: see .env.example`)
  return value
}

/** The session's cookies: no script reads them, no other site sends them, and over TLS they stay there. */
export function cookieOptions(headers: Headers): CookieOptionsWithName {
  const secure = headers.get('x-forwarded-proto')?.split(',')[0] === 'https'
  return { httpOnly: true, sameSite: 'lax', secure, path: '/' }
}
