import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { event } from '../support/service.ts'
import { launch, mend, openWindow, READ_TOKEN, type Rig, signIn, startRig, whyNoBrowser } from './rig.ts'

const why = await whyNoBrowser()

describe.skipIf(why !== null)(
  `what a person does with the pages${why === null ? '' : ` (no browser starts here: ${why})`}`,
  () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await launch()
    })
    afterAll(() => browser?.close())

    /** A window of somebody who has signed in. Nothing that a page does may be refused by the browser. */
    async function person(rig: Rig, token?: string): Promise<Page> {
      const { page, errors } = await openWindow(browser)
      await signIn(page, rig.url, token === undefined ? {} : { token })
      // An answer of 409 is told as an error by the browser.
      onTestFinished(() => expect(errors.filter((error) => !error.includes('409'))).toEqual([]))
      return page
    }

    const hasText = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor()
    const settled = (rig: Rig, jobId: string, state: string) =>
      event(rig.events, 'settled', (one) => one.jobId === jobId && one.state === state)

    it('says so when the service does not answer any more, rather than that all is well', async () => {
      const rig = await startRig()
      const page = await person(rig)
      await page.clock.install()
      await page.goto(`${rig.url}/`)
      await hasText(page, 'No delivery has arrived yet.')
      // As a proxy answers for a service that is gone; a page of its own, so that the browser has no error to tell.
      await page.route('**/', (route) => route.fulfill({ status: 203, contentType: 'text/html', body: '<p>gone</p>' }))
      await page.clock.runFor(6_000)
      await page
        .getByRole('alert')
        .filter({ hasText: 'The service does not answer. This is how it stood at' })
        .waitFor()
      await page.unroute('**/')
      await page.clock.runFor(30_000)
      await page.locator('#stale').waitFor({ state: 'detached' })
    })

    it('no text of a person is wider than the log of actions', async () => {
      const rig = await startRig()
      const headers = { authorization: `Bearer a-token-that-writes-1` }
      const body = JSON.stringify({ reason: 'P'.repeat(200) })
      await fetch(`${rig.url}/api/worker/pause`, { method: 'POST', headers, body })
      const page = await person(rig)
      await page.goto(`${rig.url}/actions`)
      await hasText(page, 'paused the worker')
      const beyond = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
      expect(await page.evaluate(beyond)).toBe(0)
    })

    it('signs in, finds a job by the start of its id, and reads its timeline and its result', async () => {
      const rig = await startRig()
      const id = await rig.job({ kind: 'extract-v3', metadata: { customer: 'acme', orderId: '90071992547409931' } })
      await rig.job()
      const page = await person(rig)
      await page.keyboard.press('g')
      await page.keyboard.press('j')
      await page.waitForURL(/\/jobs$/)
      await page.keyboard.press('/')
      await page.keyboard.type(id.slice(0, 8))
      await page.keyboard.press('Enter')
      await page.waitForURL(/q=/)
      expect(await page.locator('tbody tr').count()).toBe(1)
      await page.locator('tbody a.id').click()
      await page.waitForURL(new RegExp(`/jobs/${id}$`))
      await hasText(page, 'Saved')
      const timeline = await page.locator('.timeline').innerText()
      expect(timeline).toMatch(/Taken by your handler[\s\S]*Fetched and saved[\s\S]*Delivery Completed · default/)
      const total = page.getByRole('row').filter({ hasText: 'total' })
      expect(await total.innerText()).toMatch(/1249\.5\s+p\. 1/)
      expect(await total.locator('.spot').getAttribute('title')).toBe('Page 1, 40 % down, 10 % across')
      await hasText(page, '90071992547409931')
      // By the metadata that it was submitted with.
      await page.goto(`${rig.url}/jobs`)
      await page.getByRole('searchbox').fill('customer:acme')
      await page.keyboard.press('Enter')
      await page.waitForURL(/q=customer/)
      expect(await page.locator('tbody tr').count()).toBe(1)
    })

    it('a token that is none is told, and a page that was asked for comes after the sign-in', async () => {
      const rig = await startRig()
      const id = await rig.job()
      const { page } = await openWindow(browser)
      await page.goto(`${rig.url}/jobs/${id}`)
      await page.waitForURL(/sign-in\?next=/)
      await page.getByLabel('Token').fill('some-other-token-of-16')
      await page.getByRole('button', { name: 'Sign in' }).click()
      await hasText(page, 'This token is not valid here.')
      await page.getByLabel('Token').fill(READ_TOKEN)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.waitForURL(new RegExp(`/jobs/${id}$`))
    })

    it('retries a dead job and watches it finish, without loading the page again', async () => {
      const rig = await startRig()
      const id = await rig.job({ kind: 'extract-v3', metadata: { trouble: 'schema' }, until: 'dead' })
      const page = await person(rig)
      await page.goto(`${rig.url}/jobs/${id}`)
      await hasText(page, 'The result is saved; your handler refused it.')
      mend(true)
      await page.getByRole('button', { name: 'Replay handler' }).click()
      await page.waitForURL(/did=replay/)
      await page.evaluate('window.isTheSame = true')
      await hasText(page, /taken by your handler\./)
      expect(await page.evaluate('window.isTheSame')).toBe(true)
      expect(rig.reducto.fetches.get(id)).toBe(1)
    })

    it('retries all with one cause, and is told when more match than were shown', async () => {
      const rig = await startRig()
      const dead = () => rig.job({ kind: 'extract', metadata: { trouble: 'credit' }, until: 'dead' })
      const ids = [await dead(), await dead()]
      const page = await person(rig)
      await page.goto(`${rig.url}/dead`)
      await hasText(page, 'credit notes are not handled here')
      await page.getByRole('link', { name: 'Retry 2…' }).click()
      await hasText(page, 'Retry 2 jobs?')
      ids.push(await dead())
      // Another one died meanwhile: it is later than what was shown, and is left alone.
      const first = ids.slice(0, 2).map((id) => settled(rig, id, 'dead'))
      await page.getByRole('button', { name: 'Retry 2 jobs' }).click()
      await hasText(page, '2 jobs were queued again.')
      await Promise.all(first)
      await page.getByRole('link', { name: 'Actions' }).click()
      await hasText(page, 'queued jobs again')
      await hasText(page, 'ada')

      // More match than were shown, and are as old as those: nothing is done.
      await page.goto(`${rig.url}/confirm?do=retry&state=dead&code=refused`)
      await hasText(page, 'Retry 3 jobs?')
      await page.evaluate('document.querySelector("input[name=expect]").value = "2"')
      await page.getByRole('button', { name: 'Retry 3 jobs' }).click()
      await hasText(page, '3 match now, not 2: nothing was done.')
      expect((await rig.inbox.stats()).jobs).toMatchObject({ dead: 3, queued: 0 })
    })

    it('selects with the keyboard, is told how many, and erases only after a question', async () => {
      const rig = await startRig()
      const ids = [await rig.job(), await rig.job(), await rig.job()]
      const page = await person(rig)
      await page.goto(`${rig.url}/jobs`)
      for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key)
      await hasText(page, '2 selected')
      await page.getByRole('button', { name: 'Delete…' }).click()
      await hasText(page, 'Delete 2 jobs?')
      expect((await rig.inbox.get(ids[2]!))?.reason).toBeNull()
      await page.getByRole('button', { name: 'Delete 2 jobs' }).click()
      await hasText(page, '2 jobs were erased.')
      expect((await rig.inbox.get(ids[2]!))?.reason?.code).toBe('erased')
      expect((await rig.inbox.get(ids[0]!))?.reason).toBeNull()
    })

    it('pauses with a reason and resumes', async () => {
      const rig = await startRig()
      const page = await person(rig)
      await page.getByLabel('Why it is paused').fill('a new handler')
      await page.getByRole('button', { name: 'Pause' }).click()
      await hasText(page, 'A person paused the worker.')
      await hasText(page, /“a new handler”/)
      expect((await rig.inbox.service()).pause?.reason).toBe('a new handler')
      await page.getByRole('button', { name: 'Resume' }).first().click()
      await hasText(page, 'The worker goes on.')
      expect((await rig.inbox.service()).pause).toBeNull()
    })

    it('the reading token sees all and finds nothing to press that changes anything', async () => {
      const rig = await startRig()
      const id = await rig.job({ kind: 'extract', metadata: { trouble: 'credit' }, until: 'dead' })
      const page = await person(rig, READ_TOKEN)
      for (const path of ['/', '/jobs', '/dead', `/jobs/${id}`, '/deliveries', '/actions']) {
        await page.goto(`${rig.url}${path}`)
        const forms = await page.evaluate(
          '[...document.querySelectorAll("form[method=post]")].map((form) => form.getAttribute("action"))',
        )
        expect(forms, path).toEqual([expect.stringMatching(/\/sign-out$/)])
        expect(await page.locator('[formmethod=post], a[href*="confirm?"]').count(), path).toBe(0)
      }
    })

    it('a link from elsewhere leads to its page, by a person who has signed in', async () => {
      const rig = await startRig()
      const id = await rig.job()
      const page = await person(rig)
      const chat = createServer((_request, response) =>
        response.setHeader('content-type', 'text/html').end(`<a href="${rig.url}/jobs/${id}">the job</a>`),
      )
      await new Promise<void>((done) => chat.listen(0, '127.0.0.1', done))
      onTestFinished(() => void chat.close())
      await page.goto(`http://localhost:${(chat.address() as AddressInfo).port}/`)
      await page.getByRole('link', { name: 'the job' }).click()
      await hasText(page, 'Taken by your handler')
    })

    it('works behind a proxy that adds a prefix and names another host', async () => {
      const rig = await startRig()
      const id = await rig.job()
      const proxy = createServer((request, response) => {
        if (!request.url!.startsWith('/tools/receiver/')) return response.writeHead(418).end()
        const url = `${rig.url}${request.url!.slice('/tools/receiver'.length)}`
        const headers = { ...request.headers, host: 'inside:1' }
        const onward = httpRequest(url, { method: request.method!, headers }, (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
        })
        request.pipe(onward)
      })
      await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
      onTestFinished(() => void proxy.close())
      const { page, errors } = await openWindow(browser)
      const statuses: number[] = []
      page.on('response', (answer) => statuses.push(answer.status()))
      const base = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/tools/receiver`
      await signIn(page, base)
      await page.getByRole('link', { name: 'Jobs' }).click()
      await page.locator('tbody a.id').click()
      await page.waitForURL(`${base}/jobs/${id}`)
      await page.getByRole('button', { name: 'Replay handler' }).click()
      await hasText(page, 'The job was queued to be handed over again.')
      await page.getByRole('link', { name: 'Overview' }).click()
      await page.waitForURL(`${base}/`)
      expect(statuses.filter((status) => status >= 400)).toEqual([])
      expect(errors).toEqual([])
    })

    it('everything works without a script', async () => {
      const rig = await startRig()
      const id = await rig.job({ kind: 'extract', metadata: { trouble: 'credit' }, until: 'dead' })
      const context = await browser.newContext({ javaScriptEnabled: false })
      onTestFinished(() => context.close())
      const page = await context.newPage()
      await signIn(page, rig.url)
      await page.getByRole('link', { name: 'Jobs', exact: true }).click()
      await page.getByRole('checkbox', { name: `Select ${id}` }).check()
      await page.getByRole('button', { name: 'Delete…' }).click()
      await hasText(page, 'Delete 1 job?')
      await page.getByRole('link', { name: 'Cancel' }).click()
      await page.getByRole('link', { name: id.slice(0, 8) }).click()
      const again = settled(rig, id, 'dead')
      await page.getByRole('button', { name: 'Replay handler' }).click()
      await hasText(page, 'The job was queued to be handed over again.')
      await again
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.waitForURL(/sign-in/)
      await page.goto(`${rig.url}/jobs`)
      await page.waitForURL(/sign-in\?next=/)
    })

    it('rows stay where they are while newer ones arrive, and nothing is refreshed that somebody works with', async () => {
      const rig = await startRig()
      await rig.job()
      const page = await person(rig)
      await page.clock.install()
      await page.goto(`${rig.url}/jobs`)
      await rig.job()
      await page.clock.runFor(6_000)
      await hasText(page, '1 newer')
      expect(await page.locator('tbody tr').count()).toBe(1)
      await page.getByRole('link', { name: '1 newer' }).click()
      await page.locator('tbody tr').nth(1).waitFor()
    })

    it('times are in the zone that was chosen, and the theme stays', async () => {
      const rig = await startRig()
      const id = await rig.job()
      const context = await browser.newContext({ timezoneId: 'Europe/Berlin', colorScheme: 'light' })
      onTestFinished(() => context.close())
      const page = await context.newPage()
      await signIn(page, rig.url)
      await page.goto(`${rig.url}/jobs/${id}`)
      await page.keyboard.press('u')
      await page.getByRole('button', { name: 'Berlin' }).waitFor()
      await page.getByRole('button', { name: 'Light or dark' }).click()
      await page.goto(`${rig.url}/`)
      await page.getByRole('button', { name: 'Berlin' }).waitFor()
      expect(await page.locator('html').getAttribute('data-theme')).toBe('dark')
    })
  },
)
