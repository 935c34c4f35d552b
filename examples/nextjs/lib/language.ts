import { cookies, headers } from 'next/headers'
import { type Language, type Words, words } from './words'

export const LANGUAGE_COOKIE = 'language'

/** What was chosen, else what the browser prefers, else French. */
export async function language(): Promise<Language> {
  const chosen = (await cookies()).get(LANGUAGE_COOKIE)?.value
  if (chosen === 'fr' || chosen === 'en') return chosen
  const preferred = (await headers()).get('accept-language')?.toLowerCase().split(',') ?? []
  const known = preferred.map((one) => one.trim().slice(0, 2)).find((one) => one === 'fr' || one === 'en')
  return known === 'en' ? 'en' : 'fr'
}

/** The words of this request. */
export async function spoken(): Promise<Words> {
  return words[await language()]
}
