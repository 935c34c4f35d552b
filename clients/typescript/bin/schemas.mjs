// The part of JARVIS's OpenAPI document that the types are made of: its schemas, without the requests.
import { readFileSync } from 'node:fs'

const { openapi, info, components } = JSON.parse(readFileSync(process.argv[2], 'utf8'))
console.log(JSON.stringify({ openapi, info, paths: {}, components: { schemas: components.schemas } }))
