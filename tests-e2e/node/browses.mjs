// A manager at examples/nextjs, in a real browser; prints what they saw as JSON. `STEP` says which part of the story:
// `work` from signing in to the end of a conversation; `away` while JARVIS is down; `back` afterwards.
import { mkdirSync } from 'node:fs'
import { chromium } from 'playwright-core'

const { APP: app, BROWSER: executablePath, STEP: step, STATE: state, SHOTS: shots } = process.env
const { EMAIL: email, PASSWORD: password, BADGE: badge, MEMBER: member } = process.env
const told = { foreign: [], scripts: [], titles: [] }

const browser = await chromium.launch({
  executablePath,
  // Chromium's own sandbox refuses root, as which tests run in containers.
  args: [...(process.getuid() === 0 ? ['--no-sandbox'] : []), '--disable-dev-shm-usage'],
})
const context = await browser.newContext({
  locale: 'fr-FR',
  viewport: { width: 1100, height: 800 },
  ...(step === 'work' ? {} : { storageState: state }),
})
const page = await context.newPage()
page.setDefaultTimeout(20_000)
page.on('request', (request) => {
  if (/^https?:/.test(request.url()) && new URL(request.url()).origin !== new URL(app).origin) told.foreign.push(request.url())
})
page.on('pageerror', (error) => told.scripts.push(String(error)))
page.on('console', (message) => message.type() === 'error' && told.scripts.push(`${message.text()} ${message.location().url}`))

const shot = async (name) => {
  told.titles.push(await page.title())
  if (!shots) return
  mkdirSync(shots, { recursive: true })
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true })
}
const main = () => page.locator('main').innerText()
const button = (name) => page.getByRole('button', { name })

/** What a reader of the page by ear would miss. */
const unlabelled = () =>
  page.evaluate(() => {
    const wrong = []
    for (const field of document.querySelectorAll('input:not([type=hidden]), textarea, select')) {
      if (!field.labels?.length) wrong.push(`no label: ${field.name}`)
    }
    for (const one of document.querySelectorAll('button, a')) if (!one.innerText.trim()) wrong.push('a button without words')
    if (document.querySelectorAll('h1').length !== 1) wrong.push('not one h1')
    if (!document.documentElement.lang) wrong.push('no language')
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
    if (new Set(ids).size !== ids.length) wrong.push('an id twice')
    return wrong
  })

/** Goes through the gym's day. */
const work = async () => {
  await page.goto(app)
  told.sent_to = new URL(page.url()).pathname
  told.language = await page.locator('html').getAttribute('lang')
  await page.getByLabel('Adresse électronique').fill(email)
  await page.getByLabel('Mot de passe').fill('wrong')
  await button('Se connecter').click()
  told.wrong_password = await page.locator('main [role=alert]').innerText()
  await shot('sign-in')
  await page.getByLabel('Adresse électronique').fill(email)
  await page.getByLabel('Mot de passe').fill(password)
  await button('Se connecter').click()
  await page.getByRole('heading', { name: 'Adhérents' }).waitFor()
  told.who = await page.locator('header').innerText()
  told.cookies = (await context.cookies()).map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }))
  told.members = await main()
  told.unlabelled_members = await unlabelled()
  await shot('members')
  await page.getByLabel('Nom, prénom ou badge').fill('personne de ce nom')
  await button('Rechercher').click()
  await page.getByText('Aucun adhérent ne correspond').waitFor()
  told.nobody_found = await main()
  await page.getByRole('link', { name: 'Tout afficher' }).click()
  await page.goto(`${app}/?page=99`)
  told.behind_the_last_page = await main()

  await page.getByRole('link', { name: member }).click()
  await page.getByRole('heading', { name: 'Profil' }).waitFor()
  told.before = await main()
  told.unlabelled_member = await unlabelled()
  await shot('member-before')

  await page.getByRole('link', { name: 'Conversation', exact: true }).click()
  await page.getByLabel('Badge').fill('UNKNOWN')
  await button('Ouvrir la conversation').click()
  told.unknown_badge = await page.locator('main [role=alert]').innerText()
  await page.getByLabel('Badge').fill(badge)
  await shot('desk')
  await button('Ouvrir la conversation').click()
  for (const said of [process.env.KNEE, process.env.GOAL]) {
    await page.getByLabel('Paroles de l’adhérent').fill(said)
    await button('Noter').click()
    await page.locator('.turns').getByText(said).waitFor()
  }
  told.unlabelled_conversation = await unlabelled()
  await shot('conversation-open')
  await button('Terminer la conversation').click()
  await page.getByRole('heading', { name: 'Résumé' }).waitFor()
  told.closed = await main()
  await shot('conversation-closed')

  told.conversation = page.url()
  await page.getByRole('link', { name: 'Voir la fiche' }).click()
  await page.getByRole('heading', { name: 'Profil' }).waitFor()
  await page.getByLabel('Question').fill('A-t-elle mal quelque part ?')
  await button('Chercher').click()
  await page.locator('.told li').first().waitFor()
  told.answer = await page.locator('.told').innerText()
  told.asked_in_the_address = page.url().includes('mal')
  told.after = await main()
  await shot('member-after')
  await page.setViewportSize({ width: 390, height: 844 })
  told.wider_than_a_phone = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
  await shot('member-phone')
  await page.setViewportSize({ width: 1100, height: 800 })

  await button('English').click()
  await page.getByRole('heading', { name: 'What JARVIS remembers' }).waitFor()
  told.english = { language: await page.locator('html').getAttribute('lang'), main: await main() }
  await shot('member-english')
  await button('Français').click()
  await page.getByRole('heading', { name: 'Ce que JARVIS retient' }).waitFor()
  const lost = await page.goto(`${app}/adherents/00000000-0000-4000-8000-000000000000`)
  told.not_found = { status: lost.status(), main: await main() }
  await shot('not-found')
  const forged = { form: { badge }, headers: { origin: 'https://evil.example' } }
  told.forged = (await context.request.post(`${app}/api/sessions`, forged)).status()
  const behindTls = { form: { email, password }, headers: { origin: app, 'x-forwarded-proto': 'https' }, maxRedirects: 0 }
  const fresh = await (await browser.newContext()).request.post(`${app}/api/auth/sign-in`, behindTls)
  told.behind_tls = fresh.headers()['set-cookie']
  await context.storageState({ path: state })
  told.without_scripts = await withoutScripts()
  told.other_gym = await otherGym()
}

/** What the manager of another gym sees, and what becomes of a badge of this gym in their hands. */
const otherGym = async () => {
  const other = await (await browser.newContext({ locale: 'fr-FR' })).newPage()
  await other.goto(app)
  await other.getByLabel('Adresse électronique').fill(process.env.OTHER_EMAIL)
  await other.getByLabel('Mot de passe').fill(process.env.OTHER_PASSWORD)
  await other.getByRole('button', { name: 'Se connecter' }).click()
  await other.getByRole('heading', { name: 'Adhérents' }).waitFor()
  const members = await other.locator('main').innerText()
  const form = { form: { badge }, headers: { origin: app }, maxRedirects: 0 }
  const opened = await other.request.post(`${app}/api/sessions`, form)
  await other.goto(told.conversation)
  return { members, opened: opened.headers()['location'], conversation: await other.locator('main').innerText() }
}

/** The same pages, where scripts are off. */
const withoutScripts = async () => {
  const plain = await browser.newContext({ locale: 'fr-FR', storageState: state, javaScriptEnabled: false })
  const page = await plain.newPage()
  await page.goto(app)
  await page.getByRole('link', { name: member }).click()
  await page.getByLabel('Question').fill('A-t-elle mal quelque part ?')
  await page.getByRole('button', { name: 'Chercher' }).click()
  return page.locator('.told').innerText()
}

const away = async () => {
  await page.goto(app)
  told.alert = await page.locator('main [role=alert]').innerText()
  told.unlabelled = await unlabelled()
  await shot('away')
  await page.goto(`${app}/conversations`)
  told.desk = await page.locator('main [role=alert]').innerText()
}

const back = async () => {
  await page.goto(app)
  told.members = await main()
  await button('Se déconnecter').click()
  await page.getByRole('heading', { name: 'Se connecter' }).waitFor()
  await page.goto(app)
  told.after_leaving = new URL(page.url()).pathname
}

try {
  await { work, away, back }[step]()
  console.log(JSON.stringify(told))
} catch (error) {
  await shot('failed')
  console.error(page.url(), await main().catch(() => ''), told)
  throw error
} finally {
  await browser.close()
}
