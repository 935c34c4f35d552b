import type { components } from './api.types.ts'
import { send } from './api.ts'

export type Kiosk = components['schemas']['Kiosk']

/** A kiosk and the private half of its key. Keep it where passwords are kept. */
export interface KioskKey {
  kioskId: string
  /** A JWK of an EC key on P-256. */
  privateKey: JsonWebKey
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256' }
/** Milliseconds that pairing, or asking for a token, may take. */
const TIMEOUT = 15_000
/** Seconds before its end at which a token is replaced. */
const MARGIN = 60

/** Makes a key and pairs it by the one-time code of `jarvis kiosk add`. */
export async function pairKiosk(url: string, code: string): Promise<{ kiosk: Kiosk; key: KioskKey }> {
  const pair = await crypto.subtle.generateKey(P256, true, ['sign', 'verify'])
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  const body = { code, public_key: { kty, crv, x, y } }
  const { kiosk } = await send<components['schemas']['Paired']>(address(url, 'pair'), 'POST', {}, body, TIMEOUT)
  const privateKey = await crypto.subtle.exportKey('jwk', pair.privateKey)
  return { kiosk, key: { kioskId: kiosk.id, privateKey } }
}

/** Access tokens of a kiosk, each asked for once and kept until a minute before its end. */
export function kioskTokens(url: string, key: KioskKey): () => Promise<string> {
  let kept: { token: string; until: number } | undefined
  let asked: Promise<string> | undefined
  const ask = async (): Promise<string> => {
    const body = { assertion: await assertion(key) }
    const answer = await send<components['schemas']['AccessToken']>(address(url, 'token'), 'POST', {}, body, TIMEOUT)
    kept = { token: answer.access_token, until: now() + answer.expires_in - MARGIN }
    return answer.access_token
  }
  return async () => {
    if (kept && kept.until > now()) return kept.token
    // Requests that come together share one answer.
    asked ??= ask().finally(() => (asked = undefined))
    return asked
  }
}

/** A JWT that only the holder of the key can make; good once, for a minute. */
async function assertion({ kioskId, privateKey }: KioskKey): Promise<string> {
  const key = await crypto.subtle.importKey('jwk', privateKey, P256, false, ['sign'])
  const claims = { iss: kioskId, sub: kioskId, aud: 'jarvis', exp: now() + 60, jti: crypto.randomUUID() }
  const signed = [{ alg: 'ES256', typ: 'JWT' }, claims].map((part) => base64url(JSON.stringify(part))).join('.')
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
  const signature = await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(signed))
  return `${signed}.${base64url(String.fromCharCode(...new Uint8Array(signature)))}`
}

function address(url: string, what: string): string {
  return `${url.replace(/\/+$/, '')}/api/v1/kiosks/${what}`
}

function base64url(bytes: string): string {
  return btoa(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** Seconds since 1970. */
function now(): number {
  return Math.floor(Date.now() / 1000)
}
