import type { Fact } from '@jarvis/client'
import { day, month, share } from '@/lib/format'
import type { Words } from '@/lib/words'

interface Shown {
  fact: Fact
  words: Words
  /** How sure it is, 0 to 1. */
  certainty: number
  /** What to know of its life, such as that it must be checked. */
  note?: string | undefined
}

/** A fact: what kind, the member's own words, what else is known. */
export function FactItem({ fact, words, certainty, note }: Shown) {
  const details = Object.entries(fact.fact_value as Record<string, unknown>)
    // What the quote says by itself is not said again, in the words of the program.
    .filter(([key]) => key in words.factKeys && !(fact.source_quote && ['location', 'detail', 'text'].includes(key)))
    .map(([key, value]) => words.pair(words.factKeys[key] ?? key, readable(words, key, value, fact)))
  return (
    <li className="fact">
      <p>
        <span className={`tag ${fact.category}`}>{words.categories[fact.category] ?? fact.category}</span>{' '}
        {note && <span className="tag">{note}</span>}
      </p>
      {fact.source_quote ? <blockquote>{fact.source_quote}</blockquote> : <p>{plain(fact.fact_key)}</p>}
      <p className="quiet">
        {[...details, words.certainty(share(words, certainty)), fact.source_quote ? '' : words.notQuoted]
          .filter(Boolean)
          .join(' · ')}
      </p>
    </li>
  )
}

function readable(words: Words, key: string, value: unknown, fact: Fact): string {
  if (key === 'deadline' && typeof value === 'string' && !Number.isNaN(Date.parse(value))) return day(words, value)
  if (key === 'since' && typeof value === 'string' && /^\d{4}-\d{2}$/.test(value)) return month(words, value)
  const unit = key === 'target' ? (fact.fact_value as Record<string, unknown>)['unit'] : undefined
  const text = Array.isArray(value) ? value.map((one) => words.exercises[String(one)] ?? String(one)).join(', ') : typeof value === 'object' ? JSON.stringify(value) : String(value)
  return unit ? `${plain(text)} ${String(unit)}` : plain(text)
}

/** A word of the program as people read it. */
function plain(word: string): string {
  return word.replaceAll('_', ' ')
}
