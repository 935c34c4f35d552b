import { supabaseOfRequest } from '@/lib/caller'
import { SIGN_IN } from '@/lib/environment'
import { answerForm, field, goTo } from '@/lib/forms'

export async function POST(request: Request): Promise<Response> {
  return answerForm(request, SIGN_IN, async (form) => {
    const supabase = await supabaseOfRequest()
    const { error } = await supabase.auth.signInWithPassword({
      email: field(form, 'email'),
      password: String(form.get('password') ?? ''),
    })
    if (!error) return goTo('/')
    return goTo(SIGN_IN, error.code ?? 'unreachable')
  })
}
