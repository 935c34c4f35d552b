// Asks `POST /v1/embeddings` with the official client for npm, as programs written for OpenAI do; prints what it was told.
import OpenAI from 'openai'

const model = 'text-embedding-3-small'
const statuses = []
const counted = async (url, init) => {
  const response = await fetch(url, init)
  statuses.push(response.status)
  return response
}
const client = new OpenAI({ maxRetries: 0 })
const patient = new OpenAI({ maxRetries: 3, fetch: counted })
const embed = (options, api = client) => api.embeddings.create({ model, ...options })

/** The class that the client throws, and what it knows of the refusal. */
async function refused(options, api = client) {
  try {
    await embed(options, api)
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error
    return [error.constructor.name, error.status, error.type, error.code, error.param]
  }
  return null
}

const norm = (a) => Math.hypot(...a)
const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0) / norm(a) / norm(b)
const apart = (a, b) => Math.max(...a.map((x, i) => Math.abs(x - b[i])))
const text = 'mon genou me fait mal'

// The client asks for base64 by itself, and unpacks it.
const packed = (await embed({ input: text })).data[0].embedding
const plain = await embed({ input: [text, 'douleur au genou', "le prix de l'abonnement"], encoding_format: 'float' })
const [first, near, far] = plain.data.map((item) => item.embedding)
// Asked for by name, it is handed on as it came.
const raw = (await embed({ input: [text], encoding_format: 'base64' })).data[0].embedding
const bytes = Buffer.from(raw, 'base64')
const unpacked = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
const short = (await embed({ input: [text, text], dimensions: 256 })).data.map((item) => item.embedding)
const one = (await embed({ input: text, dimensions: 1, encoding_format: 'float' })).data[0].embedding

const told = {
  answered_by: plain.model,
  order: plain.data.map((item) => item.index),
  lengths: [packed, first, unpacked, short[0], one].map((vector) => vector.length),
  same: apart(packed, first) < 1e-6 && apart(unpacked, first) < 1e-6 && apart(short[0], short[1]) === 0,
  unit: [packed, short[0], one].every((vector) => Math.abs(norm(vector) - 1) < 1e-5),
  beginning: cosine(short[0], first.slice(0, 256)) > 0.99999,
  nearer: cosine(first, near) > cosine(first, far),
  counted: plain.usage.prompt_tokens > 0 && plain.usage.total_tokens === plain.usage.prompt_tokens,
  most: (await embed({ input: Array(128).fill('a') })).data.length,
  refused: {
    'empty list': await refused({ input: [] }),
    'empty text among others': await refused({ input: ['a', ''] }),
    'too many': await refused({ input: Array(129).fill('a') }),
    'too long': await refused({ input: 'a'.repeat(8001) }),
    nul: await refused({ input: 'a\0b' }),
    tokens: await refused({ input: [1, 2] }),
    'no dimensions': await refused({ input: 'a', dimensions: 0 }),
    'too many dimensions': await refused({ input: 'a', dimensions: 1537 }),
    encoding: await refused({ input: 'a', encoding_format: 'int8' }),
    'no model': await refused({ input: 'a', model: null }),
    'wrong key': await refused({ input: 'a' }, client.withOptions({ apiKey: 'sk-wrong' })),
    'another path': await refused({ input: 'a' }, client.withOptions({ baseURL: `${client.baseURL}/none` })),
  },
}

// The gym's share of requests runs out, and the client that may try again waits as long as it is told.
let limited = null
for (let tries = 0; tries < 100 && limited?.[1] !== 429; tries++) limited = await refused({ input: [] })
told.limited = limited
const late = await embed({ input: text }, patient)
told.after_waiting = { tried_again: statuses.length > 1, first: statuses[0], last: statuses.at(-1), same: apart(late.data[0].embedding, first) < 1e-6 }
console.log(JSON.stringify(told))
