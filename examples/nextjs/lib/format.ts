import { optional } from './environment'
import type { Words } from './words'

/** A day, in the language of the page; dates without a time are days everywhere. */
export function day(words: Words, value: string): string {
  const whole = /^\d{4}-\d{2}-\d{2}$/.test(value)
  const timeZone = whole ? 'UTC' : gymTimeZone()
  return new Intl.DateTimeFormat(words.locale, { dateStyle: 'long', timeZone }).format(new Date(value))
}

/** A month of a year, written 2026-01. */
export function month(words: Words, value: string): string {
  const date = new Date(`${value}-01`)
  return new Intl.DateTimeFormat(words.locale, { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(date)
}

/** A moment, on the clock of the gym. */
export function moment(words: Words, value: string): string {
  const format = { dateStyle: 'long', timeStyle: 'short', timeZone: gymTimeZone() } as const
  return new Intl.DateTimeFormat(words.locale, format).format(new Date(value))
}

function gymTimeZone(): string {
  return optional('GYM_TIME_ZONE') || 'Europe/Paris'
}

/** A share of the whole, 0 to 1, in percent. */
export function share(words: Words, value: number): string {
  return new Intl.NumberFormat(words.locale, { style: 'percent' }).format(value)
}

/** A number with its unit. */
export function measured(words: Words, value: number, unit: string): string {
  return `${new Intl.NumberFormat(words.locale).format(value)} ${unit}`
}
