// What an application written for Supabase does, with its own client; prints what it was answered as JSON.
import { createClient } from '@supabase/supabase-js'

const { SUPABASE_URL: url, SUPABASE_ANON_KEY: anon, EMAIL: email, PASSWORD: password, MEMBER: member } = process.env
const told = {}
const fresh = () => createClient(url, anon, { auth: { autoRefreshToken: false, persistSession: false } })
const error = ({ error }) => error && { name: error.name, status: error.status, code: error.code }

const page = fresh()
told.wrong_password = error(await page.auth.signInWithPassword({ email, password: 'wrong' }))
told.sign_up = error(await page.auth.signUp({ email: 'new@example.org', password: 'long enough, this' }))
told.otp = error(await page.auth.signInWithOtp({ email }))

const signed = await page.auth.signInWithPassword({ email, password })
told.sign_in = error(signed)
const first = signed.data.session
told.session = { token_type: first.token_type, expires_in: first.expires_in }
told.user = signed.data.user
// Verified against our key set, by the client itself.
told.claims = (await page.auth.getClaims()).data?.claims
told.get_user = (await page.auth.getUser()).data.user?.email

const complete = '*, fitness_profile:member_fitness_profile(*), preferences:member_preferences(*)'
const read = await page.from('gym_members_v2').select(complete).eq('id', member).single()
told.member = { error: read.error, ...read.data }
told.others = (await page.from('gym_members_v2').select('first_name')).data
const fact = { member_id: member, category: 'goal', fact_key: 'goal', fact_value: { text: 'un marathon' }, confidence: 0.8 }
for (const round of ['upserted', 'upserted_again']) {
  const written = await page
    .from('member_facts')
    .upsert(fact, { onConflict: 'member_id,category,fact_key' })
    .select('id,category,fact_value')
    .single()
  told[round] = written.error ?? written.data
}

const renewed = await page.auth.refreshSession()
told.renewed = error(renewed)
told.rotated = renewed.data.session.refresh_token !== first.refresh_token
told.same_session = (await page.auth.getClaims()).data?.claims.session_id === told.claims.session_id
told.unknown_refresh = error(await fresh().auth.refreshSession({ refresh_token: 'nobodys' }))

const elsewhere = fresh()
await elsewhere.auth.signInWithPassword({ email, password })
const updated = await page.auth.updateUser({ data: { langue: 'fr' } })
told.updated = error(updated) ?? updated.data.user.user_metadata
told.weak = error(await page.auth.updateUser({ password: 'short' }))
told.same = error(await page.auth.updateUser({ password }))
told.new_password = error(await page.auth.updateUser({ password: 'un autre mot de passe' }))
told.other_session = error(await elsewhere.auth.refreshSession())
told.other_user = error(await elsewhere.auth.getUser())
told.old_password = error(await fresh().auth.signInWithPassword({ email, password }))

const { data: last } = await page.auth.getSession()
told.sign_out = error(await page.auth.signOut())
told.after_sign_out = error(await fresh().auth.getUser(last.session.access_token))
told.after_refresh = error(await fresh().auth.refreshSession({ refresh_token: last.session.refresh_token }))
console.log(JSON.stringify(told))
