// What goes wrong on the way is told by code; nothing is taken for success.
import assert from 'node:assert/strict'
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import { type Database, Jarvis, JarvisError, kioskTokens, listMembers, pairKiosk, waitUntilProcessed } from '../src/index.ts'

/** The error that a promise ends with. */
async function thrown(promise: Promise<unknown>): Promise<JarvisError> {
  try {
    await promise
  } catch (error) {
    assert(error instanceof JarvisError, `not a JarvisError: ${String(error)}`)
    return error
  }
  return assert.fail('no error')
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** Something that answers as it is told, while `use` runs. */
async function answering(answer: Answer, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  try {
    await use(`http://127.0.0.1:${port}/`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const jarvis = (url: string, timeout = 1_000): Jarvis => new Jarvis({ url, token: () => 'token', timeout })

test('nobody at the address', async () => {
  let closed = ''
  await answering(
    () => {},
    async (url) => void (closed = url),
  )
  const native = await thrown(jarvis(closed).get('/me'))
  assert.deepEqual([native.code, native.status, native.isTemporary], ['unreachable', 0, true])
  const supabase = createClient<Database>(closed, 'key', { auth: { persistSession: false } })
  const data = await thrown(listMembers(supabase))
  assert.deepEqual([data.code, data.isTemporary], ['unreachable', true])
  assert.equal((await thrown(pairKiosk(closed, 'ABCD-EFGH'))).code, 'unreachable')
})

test('an answer that does not come in time', async () => {
  await answering(
    () => {},
    async (url) => assert.equal((await thrown(jarvis(url, 50).get('/me'))).code, 'timeout'),
  )
})

test('a page of a proxy is no answer of JARVIS', async () => {
  for (const status of [200, 404, 502]) {
    await answering(
      (_, response) => void response.writeHead(status).end('<h1>Bonjour</h1>'),
      async (url) => {
        const error = await thrown(jarvis(url).get('/me'))
        assert.deepEqual([error.code, error.status], ['unexpected_answer', status])
      },
    )
  }
})

test('a problem keeps its code, its words and when to try again', async () => {
  const problem = { code: 'rate_limited', title: 'Trop de requêtes.', status: 429, hint: 'Attendez.', request_id: 'r1' }
  await answering(
    (request, response) => {
      assert.equal(request.headers['accept-language'], 'fr')
      response.writeHead(429, { 'retry-after': '7' }).end(JSON.stringify(problem))
    },
    async (url) => {
      const error = await thrown(jarvis(url).post('/members/x/recall', { q: 'genou' }))
      assert.deepEqual(
        [error.code, error.message, error.hint, error.requestId, error.retryAfter, error.isTemporary],
        ['rate_limited', 'Trop de requêtes.', 'Attendez.', 'r1', 7, true],
      )
    },
  )
})

test('a session that failed, and one that takes too long, are errors', async () => {
  for (const [state, code] of [
    ['failed', 'processing_failed'],
    ['closing', 'still_processing'],
  ] as const) {
    await answering(
      (_, response) => void response.end(JSON.stringify({ state, last_error: 'the model is away' })),
      async (url) => {
        const error = await thrown(waitUntilProcessed(jarvis(url), 's', 50))
        assert.deepEqual([error.code, error.detail], [code, 'the model is away'])
      },
    )
  }
})

test('a kiosk asks for a token once, and again after a refusal', async () => {
  let asked = 0
  await answering(
    (_, response) => {
      asked += 1
      if (asked === 1) response.writeHead(503).end('{}')
      else response.end(JSON.stringify({ access_token: `token ${asked}`, expires_in: 900, token_type: 'Bearer' }))
    },
    async (url) => {
      const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
      const privateKey = await crypto.subtle.exportKey('jwk', pair.privateKey)
      const token = kioskTokens(url, { kioskId: 'k', privateKey })
      assert.equal((await thrown(token())).code, 'unexpected_answer')
      assert.deepEqual(await Promise.all([token(), token()]), ['token 2', 'token 2'])
      assert.equal(await token(), 'token 2')
    },
  )
})
