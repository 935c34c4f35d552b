'use client'

import { useActionState } from 'react'

/** A question to memory and what came of it. */
export interface Asked {
  question: string
  lines: string[]
  error?: string
}

interface Props {
  action: (before: Asked, form: FormData) => Promise<Asked>
  words: { label: string; hint: string; button: string }
}

/** A form that shows its answer below itself; without scripts too. */
export function Ask({ action, words }: Props) {
  const [asked, send, isPending] = useActionState(action, { question: '', lines: [] })
  return (
    <>
      <form action={send} className="row">
        <label htmlFor="question">{words.label}</label>
        <input
          id="question"
          name="question"
          required
          maxLength={2000}
          defaultValue={asked.question}
          aria-describedby="question-hint"
        />
        <button disabled={isPending}>{words.button}</button>
        <span id="question-hint" className="quiet">
          {words.hint}
        </span>
      </form>
      <div aria-live="polite">
        {asked.error && <p className="notice">{asked.error}</p>}
        {asked.lines.length > 0 && (
          <ul className="told">
            {asked.lines.map((line, index) => (
              <li key={index}>{line}</li>
            ))}
          </ul>
        )}
      </div>
    </>
  )
}
