import { type NextRequest, NextResponse } from 'next/server'
import { createServerClient } from '@supabase/ssr'
import { isAuthRetryableFetchError } from '@supabase/supabase-js'
import { SIGN_IN, cookieOptions, environment } from '@/lib/environment'

/** Renews the session, which pages cannot do, and sends those who have none to the page where people sign in. */
export async function proxy(request: NextRequest): Promise<NextResponse> {
  let response = NextResponse.next({ request })
  const supabase = createServerClient(environment('NEXT_PUBLIC_SUPABASE_URL'), environment('NEXT_PUBLIC_SUPABASE_ANON_KEY'), {
    cookieOptions: cookieOptions(request.headers),
    cookies: {
      getAll: () => request.cookies.getAll(),
      setAll: (renewed) => {
        for (const { name, value } of renewed) request.cookies.set(name, value)
        response = NextResponse.next({ request })
        for (const { name, value, options } of renewed) response.cookies.set(name, value, options)
      },
    },
  })
  const { data, error } = await supabase.auth.getClaims()
  // Nobody is signed out because JARVIS is away: the page says what is wrong.
  if (data || isAuthRetryableFetchError(error)) return response
  return NextResponse.redirect(new URL(SIGN_IN, request.url), 303)
}

export const config = { matcher: ['/', '/adherents/:path*', '/conversations/:path*', '/api/sessions/:path*'] }
