// Runs files of the guide as they stand there, beside this one under src/: what they import and what they name without an
// import is a client of each kind, made of environment variables. Prints what came of it as JSON.
import { registerHooks } from 'node:module'

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier.startsWith('@/') ? new URL(`src/${specifier.slice(2)}.ts`, import.meta.url).href : specifier, context),
})
const { supabase } = await import('@/lib/supabase')
const { openai } = await import('@/lib/openai')
// lib/member-facts.ts imports neither.
Object.assign(globalThis, { supabase, openai })

const { EMAIL: email, PASSWORD: password, MEMBER: memberId, QUESTION: question, SESSION: sessionId } = process.env
const { TRANSCRIPT: transcript } = process.env
const told = {}
const signed = await supabase.auth.signInWithPassword({ email, password })
told.sign_in = signed.error?.code ?? null
const { read } = await import('@/lib/queries')
told.member = await read(memberId)
if (question) {
  const { getConversationContext } = await import('@/lib/rag-context')
  told.context = await getConversationContext(memberId, question)
}
if (transcript) {
  const { extractFactsFromConversation } = await import('@/lib/member-facts')
  for (const _ of ['once', 'again']) await extractFactsFromConversation(memberId, sessionId, transcript)
  const { data, error } = await supabase.from('member_facts').select('category,fact_key,fact_value,confidence')
  told.facts = error ?? data
}
console.log(JSON.stringify(told))
