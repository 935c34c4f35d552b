import { supabaseOfRequest } from '@/lib/caller'
import { SIGN_IN } from '@/lib/environment'
import { answerForm, goTo } from '@/lib/forms'

export async function POST(request: Request): Promise<Response> {
  return answerForm(request, SIGN_IN, async () => {
    const supabase = await supabaseOfRequest()
    const { error } = await supabase.auth.signOut({ scope: 'local' })
    // The cookies are gone in any case; the session ends at JARVIS when it hears of it.
    return goTo(SIGN_IN, error ? 'signed_out_here' : undefined)
  })
}
