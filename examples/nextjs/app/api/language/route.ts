import { LANGUAGE_COOKIE } from '@/lib/language'
import { answerForm, field, goTo, ownPath } from '@/lib/forms'

const YEAR = 365 * 24 * 3600

export async function POST(request: Request): Promise<Response> {
  return answerForm(request, '/', async (form) => {
    const back = request.headers.get('referer')
    const response = goTo(ownPath(back ? new URL(back).pathname : null))
    const language = field(form, 'language') === 'en' ? 'en' : 'fr'
    response.cookies.set(LANGUAGE_COOKIE, language, { path: '/', sameSite: 'lax', httpOnly: true, maxAge: YEAR })
    return response
  })
}
