'use server'

import { recall } from '@jarvis/client'
import type { Asked } from '@/components/ask'
import { asked, caller } from '@/lib/caller'
import { field } from '@/lib/forms'
import { moment } from '@/lib/format'
import { spoken } from '@/lib/language'

/** What a member said that is near to a question; the question is in no address, and so in no log. */
export async function askMemory(member: string, _before: Asked, form: FormData): Promise<Asked> {
  const words = await spoken()
  const question = field(form, 'question')
  if (!question) return { question, lines: [] }
  const { jarvis } = await caller()
  const told = await asked(() => recall(jarvis, member, question))
  if ('error' in told) {
    const { error } = told
    return { question, lines: [], error: error.isTemporary ? words.away : error.message }
  }
  const { turns, memories, nothing_noted } = told.answer
  // Their own words where they may be read, else what was summed up of them.
  const said = turns.map((turn) => ({ at: turn.said_at, text: words.quoted(turn.said) }))
  const found = said.length > 0 ? said : memories.map((memory) => ({ at: memory.created_at, text: memory.summary_text }))
  if (nothing_noted || found.length === 0) return { question, lines: [words.nothingNoted] }
  return { question, lines: found.map(({ at, text }) => words.pair(moment(words, at), text)) }
}
