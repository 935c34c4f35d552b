// The types of the native API are those of docs/openapi.json; `npm run api:types` writes them again.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

test('the types of the native API are those of its document', () => {
  const schemas = execFileSync(process.execPath, [here('../bin/schemas.mjs'), here('../../../docs/openapi.json')])
  const generator = here('../node_modules/openapi-typescript/bin/cli.js')
  const types = execFileSync(process.execPath, [generator], { input: schemas, encoding: 'utf8' })
  const committed = readFileSync(here('../src/api.types.ts'), 'utf8')
  assert.ok(committed.trim() === types.trim(), 'src/api.types.ts is of another document: npm run api:types')
})
