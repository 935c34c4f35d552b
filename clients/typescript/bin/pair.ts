// Pairs this machine with a kiosk by its one-time code; prints the kiosk and its key as lines of an .env file.
//   npm run --silent kiosk:pair -- ABCD-EFGH >> .env.local
import { JarvisError, pairKiosk } from '../src/index.ts'

const url = process.env['NEXT_PUBLIC_SUPABASE_URL'] ?? 'http://127.0.0.1:8787'
const code = process.argv[2]
if (!code) {
  console.error('usage: npm run kiosk:pair -- <code of `jarvis kiosk add`>   (NEXT_PUBLIC_SUPABASE_URL: where JARVIS is)')
  process.exit(2)
}
try {
  const { kiosk, key } = await pairKiosk(url, code)
  console.error(`paired as ${kiosk.name}; the key below is shown once: keep it where passwords are kept`)
  console.log(`JARVIS_KIOSK_ID=${key.kioskId}\nJARVIS_KIOSK_KEY='${JSON.stringify(key.privateKey)}'`)
} catch (error) {
  if (!(error instanceof JarvisError)) throw error
  console.error(`error: ${error.message} (${error.code})${error.hint ? `\nhint: ${error.hint}` : ''}`)
  process.exit(1)
}
