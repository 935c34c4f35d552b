import { NextResponse } from 'next/server'
import { JarvisError } from '@jarvis/client'

/** A path of this application, or the front page. */
export function ownPath(path: FormDataEntryValue | null): string {
  return typeof path === 'string' && /^\/(?![/\\])/.test(path) ? path : '/'
}

/** A field of a form, without the space around it. */
export function field(form: FormData, name: string): string {
  const value = form.get(name)
  return typeof value === 'string' ? value.trim() : ''
}

/** Goes to a page after a form was sent; reloading it sends nothing again. */
export function goTo(path: string, error?: string): NextResponse {
  const location = error ? `${path}?error=${encodeURIComponent(error)}` : path
  return new NextResponse(null, { status: 303, headers: { location } })
}

/** Answers a form: refuses what another site sent; what JARVIS refuses leads to `onError`, with its code. */
export async function answerForm(
  request: Request,
  onError: string,
  answer: (form: FormData) => Promise<NextResponse>,
): Promise<NextResponse> {
  const origin = request.headers.get('origin')
  const host = request.headers.get('x-forwarded-host') ?? request.headers.get('host')
  if (!origin || !URL.canParse(origin) || new URL(origin).host !== host) return new NextResponse('other origin', { status: 403 })
  try {
    return await answer(await request.formData())
  } catch (error) {
    if (error instanceof JarvisError) return goTo(onError, error.code)
    throw error
  }
}
