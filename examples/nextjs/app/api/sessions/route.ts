import { openSession } from '@jarvis/client'
import { kiosk } from '@/lib/caller'
import { answerForm, field, goTo } from '@/lib/forms'

/** A badge was read, or typed: opens a conversation. */
export async function POST(request: Request): Promise<Response> {
  return answerForm(request, '/conversations', async (form) => {
    const jarvis = await kiosk()
    if (!jarvis) return goTo('/conversations')
    const { session_id } = await openSession(jarvis, field(form, 'badge'))
    return goTo(`/conversations/${session_id}`)
  })
}
