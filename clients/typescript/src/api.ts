import { JarvisError, fromAnswer, withoutAnswer } from './errors.ts'

/** How to reach the native API. */
export interface JarvisOptions {
  /** As `jarvis keys` prints it: `https://jarvis.example.org`. */
  url: string
  /** The access token: of a person who signed in, or of a kiosk ({@link kioskTokens}). Asked before each request. */
  token: () => string | Promise<string>
  /** The language of error messages; French when absent. */
  language?: 'fr' | 'en'
  /** Milliseconds that a request may take; 15 000 when absent. */
  timeout?: number
}

/** JARVIS's native API, `/api/v1`, for one caller. */
export class Jarvis {
  readonly url: string
  readonly #options: JarvisOptions

  constructor(options: JarvisOptions) {
    this.url = options.url.replace(/\/+$/, '')
    this.#options = options
  }

  /** `path` below `/api/v1`. Throws {@link JarvisError}. */
  async get<T>(path: string): Promise<T> {
    return this.#send('GET', path)
  }

  /** As {@link get}, with a body of JSON. */
  async post<T>(path: string, body: object = {}): Promise<T> {
    return this.#send('POST', path, body)
  }

  async #send<T>(method: string, path: string, body?: object): Promise<T> {
    const { token, language = 'fr', timeout = 15_000 } = this.#options
    const authorization = `Bearer ${await token()}`
    return send(`${this.url}/api/v1${path}`, method, { authorization, 'accept-language': language }, body, timeout)
  }
}

/** One request; its answer, which must be JSON. */
export async function send<T>(
  url: string,
  method: string,
  headers: Record<string, string>,
  body: object | undefined,
  timeout: number,
): Promise<T> {
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      method,
      headers: body ? { ...headers, 'content-type': 'application/json' } : headers,
      body: body ? JSON.stringify(body) : null,
      signal: AbortSignal.timeout(timeout),
      cache: 'no-store',
    })
    text = await response.text()
  } catch (cause) {
    throw withoutAnswer(cause)
  }
  if (!response.ok) throw fromAnswer(response, text)
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    throw new JarvisError('unexpected_answer', 'The answer is not JSON', { status: response.status, cause })
  }
}
