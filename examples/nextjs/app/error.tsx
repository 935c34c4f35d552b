'use client'

import { words } from '@/lib/words'

/** A defect: what JARVIS refuses, pages show by themselves. */
export default function Crashed({ reset }: { error: Error; reset: () => void }) {
  const spoken = words[document.documentElement.lang === 'en' ? 'en' : 'fr']
  return (
    <section role="alert" className="failure">
      <h1>{spoken.crashed}</h1>
      <button onClick={reset}>{spoken.retry}</button>
    </section>
  )
}
