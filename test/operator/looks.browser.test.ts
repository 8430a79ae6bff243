import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import axe from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Look, launch, openWindow, signIn, startRig, whyNoBrowser } from './rig.ts'
import { seed } from './seed.ts'

const why = await whyNoBrowser()

/** Where pictures for the documents go; they are made with `npm run screenshots`. */
const PICTURES = process.env.SCREENSHOTS === undefined ? null : resolve(process.env.SCREENSHOTS)
const PICTURED: ReadonlySet<string> = new Set(['overview-light', 'extract-light', 'jobs-dark', 'overview-phone'])

const LOOKS: readonly (Look & { readonly name: string })[] = [
  { name: 'light', width: 1280, scheme: 'light' },
  { name: 'dark', width: 1280, scheme: 'dark' },
  { name: 'phone', width: 390, scheme: 'light' },
]

describe.skipIf(why !== null)(`how the pages look${why === null ? '' : ` (no browser starts here: ${why})`}`, () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launch()
  })
  afterAll(() => browser?.close())

  it('every page: readable by everybody, within its window, and with nothing in it that runs', async () => {
    const rig = await startRig({ PUBLIC_URL: 'https://docs.acme.example' })
    const ids = await seed(rig)
    const svixId = (await rig.inbox.get(ids.hostile!))!.deliveries[0]!.svixId
    const rejected = (await rig.inbox.deliveries({ disposition: 'rejected' }, { limit: 1 })).rows[0]!.svixId
    const pages: Readonly<Record<string, string>> = {
      'sign-in': '/sign-in',
      overview: '/',
      jobs: '/jobs',
      filtered: '/jobs?state=dead&code=refused&metadata.trouble=credit&q=%3Cscript%3E',
      dead: '/dead',
      deliveries: '/deliveries',
      delivery: `/deliveries/${svixId}`,
      rejected: `/deliveries/${rejected}`,
      actions: '/actions',
      doctor: '/doctor',
      confirm: '/confirm?do=delete&state=dead',
      ...Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, `/jobs/${id}`])),
      extract: `/jobs/${ids.schema0}`,
      unknown: '/jobs/no-such-job-%3Cb%3E',
      nonsense: '/jobs?state=nowhere',
    }
    for (const { name: look, ...how } of LOOKS) {
      const { page, errors } = await openWindow(browser, how)
      await signIn(page, rig.url)
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(`${rig.url}${path}`)
        await inspect(page, `${name}, ${look}`)
        if (PICTURES && PICTURED.has(`${name}-${look}`)) await picture(page, PICTURES, `${name}-${look}.png`)
      }
      await page.goto(`${rig.url}/doctor`)
      await page.getByRole('button', { name: 'Run the checks' }).click()
      await page.getByRole('status').waitFor()
      await inspect(page, `what doctor found, ${look}`)
      // Answers of 4xx are told as errors by the browser.
      expect(errors.filter((error) => !/status of 40[04]/.test(error))).toEqual([])
    }
  }, 300_000)

  async function inspect(page: Page, what: string): Promise<void> {
    expect(await page.evaluate('window.isHacked'), what).toBeUndefined()
    expect(
      await page.evaluate('document.documentElement.scrollWidth - innerWidth'),
      `${what} is too wide`,
    ).toBeLessThanOrEqual(0)
    expect(await violationsOn(page), what).toEqual([])
  }
})

type Violation = { readonly id: string; readonly impact: string; readonly nodes: readonly { readonly html: string }[] }

async function violationsOn(page: Page): Promise<readonly string[]> {
  // Evaluated, not added as an element: the pages allow no script but their own.
  await page.evaluate(axe.source)
  const { violations } = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as {
    readonly violations: readonly Violation[]
  }
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`)
}

async function picture(page: Page, folder: string, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, name), fullPage: true })
}
