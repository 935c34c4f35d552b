import { JarvisError, closeSession, getSession, waitUntilProcessed } from '@jarvis/client'
import { caller, kiosk } from '@/lib/caller'
import { answerForm, goTo } from '@/lib/forms'

/** Milliseconds that the page waits for the memory; after that it says that it is being made. */
const PATIENCE = 10_000

/** Ends a conversation. */
export async function POST(request: Request, { params }: { params: Promise<{ id: string }> }): Promise<Response> {
  const page = `/conversations/${encodeURIComponent((await params).id)}`
  return answerForm(request, page, async () => {
    const jarvis = await kiosk()
    if (!jarvis) return goTo('/conversations')
    const { id } = await params
    await getSession((await caller()).jarvis, id)
    await closeSession(jarvis, id)
    try {
      await waitUntilProcessed(jarvis, id, PATIENCE)
    } catch (error) {
      // The page shows the state as it is.
      const told = error instanceof JarvisError && ['still_processing', 'processing_failed'].includes(error.code)
      if (!told) throw error
    }
    return goTo(page)
  })
}
