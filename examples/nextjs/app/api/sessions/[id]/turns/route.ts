import { getSession, recordTurns } from '@jarvis/client'
import { caller, kiosk } from '@/lib/caller'
import { answerForm, field, goTo } from '@/lib/forms'

/** Notes what the member said. */
export async function POST(request: Request, { params }: { params: Promise<{ id: string }> }): Promise<Response> {
  const page = `/conversations/${encodeURIComponent((await params).id)}`
  return answerForm(request, page, async (form) => {
    const jarvis = await kiosk()
    if (!jarvis) return goTo('/conversations')
    const { id } = await params
    // The person must see it, not only the kiosk.
    await getSession((await caller()).jarvis, id)
    const text = field(form, 'text')
    if (text) await recordTurns(jarvis, id, [{ speaker: 'member', text }], Number(field(form, 'number')) || 0)
    return goTo(page)
  })
}
