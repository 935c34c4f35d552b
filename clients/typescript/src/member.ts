import type { SupabaseClient } from '@supabase/supabase-js'
import type { Database } from './database.types.ts'
import { dataOf, dataOrNull } from './errors.ts'

/** A client of supabase-js for JARVIS's tables: `createClient<Database>(url, key)`. */
export type JarvisSupabase = SupabaseClient<Database>

type Row<T extends keyof Database['public']['Tables']> = Database['public']['Tables'][T]['Row']
/** A row whose texts a check of the table narrows. */
type Narrowed<T, Words> = Omit<T, keyof Words> & Words

/** Who somebody is, and their membership. */
export type GymMemberCore = Narrowed<
  Row<'gym_members_v2'>,
  { gender: 'male' | 'female' | 'other' | 'prefer_not_to_say' | null }
>

/** What somebody trains, and for what. */
export type MemberFitnessProfile = Narrowed<
  Row<'member_fitness_profile'>,
  {
    fitness_level: 'beginner' | 'intermediate' | 'advanced' | 'expert' | null
    preferred_workout_style: 'strength' | 'cardio' | 'mixed' | 'flexibility' | 'sport' | null
  }
>

/** How the assistant speaks with somebody. */
export type MemberPreferences = Narrowed<
  Row<'member_preferences'>,
  {
    communication_style: 'encouraging' | 'direct' | 'friendly' | 'patient' | 'energetic' | 'calm'
    feedback_style: 'motivating' | 'technical' | 'gentle' | 'challenging'
    language: 'fr' | 'en' | 'es' | 'de' | 'it'
  }
>

/** A member with the modules that exist of them. */
export type GymMemberComplete = GymMemberCore & {
  fitness_profile: MemberFitnessProfile | null
  preferences: MemberPreferences | null
}

/** What a list of members shows. */
export type MemberListed = Pick<
  GymMemberCore,
  'id' | 'badge_id' | 'first_name' | 'last_name' | 'membership_type' | 'is_active' | 'last_visit'
>

const COMPLETE = '*, fitness_profile:member_fitness_profile(*), preferences:member_preferences(*)'
const LISTED = 'id, badge_id, first_name, last_name, membership_type, is_active, last_visit'

/** A member with their modules; null when there is none, or the caller may not see them. */
export async function getMemberComplete(supabase: JarvisSupabase, memberId: string): Promise<GymMemberComplete | null> {
  const answer = await supabase.from('gym_members_v2').select(COMPLETE).eq('id', memberId).maybeSingle()
  // The checks of the tables allow no other words than those of the narrowed types.
  return dataOrNull(answer) as GymMemberComplete | null
}

/** A page of members. */
export interface MemberPage {
  members: MemberListed[]
  /** How many there are on all pages. */
  total: number
}

/**
 * The members that the caller may see, by name; `search` is looked for in names and badges. At most 200 at a time, 50 when
 * absent.
 */
export async function listMembers(
  supabase: JarvisSupabase,
  { search = '', limit = 50, offset = 0 }: { search?: string; limit?: number; offset?: number } = {},
): Promise<MemberPage> {
  let query = supabase.from('gym_members_v2').select(LISTED, { count: 'exact' })
  for (const word of search.split(/\s+/).filter(Boolean)) {
    const pattern = quoted(`%${word.replace(/[\\%_]/g, '\\$&').replaceAll('*', '')}%`)
    query = query.or(['first_name', 'last_name', 'badge_id'].map((column) => `${column}.ilike.${pattern}`).join(','))
  }
  const sorted = query.order('last_name').order('first_name').order('id')
  const answer = await sorted.range(offset, offset + Math.min(limit, 200) - 1)
  return { members: dataOf(answer), total: answer.count ?? 0 }
}

/** A text as PostgREST reads it inside a list of conditions, whatever it holds. */
function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
