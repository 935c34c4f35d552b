// An application that moves here without a change: its old key, and a person with their old password.
import { createClient } from '@supabase/supabase-js'

const { SUPABASE_URL: url, SUPABASE_ANON_KEY: anon, EMAIL: email, PASSWORD: password } = process.env
const page = createClient(url, anon, { auth: { autoRefreshToken: false, persistSession: false } })
const { data, error } = await page.auth.signInWithPassword({ email, password })
const read = await page.from('gym_members_v2').select('first_name')
console.log(JSON.stringify({ error: error?.code, user: data.user, members: read.data ?? read.error }))
