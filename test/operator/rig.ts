import { relative, resolve } from 'node:path'
import chromium from '@sparticuz/chromium'
import { type Browser, type BrowserContext, type Page, chromium as playwright } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { newMessageId } from '../../src/signing.ts'
import type { Kind } from '../../src/simulator/documents/documents.ts'
import type { NewJob } from '../../src/simulator/reducto.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { event, signed, type TestService, testService } from '../support/service.ts'

/** A real service with its pages, and a real browser in front of it. */

const TOKEN = 'a-token-that-writes-1'
export const READ_TOKEN = 'a-token-that-only-reads-1'
/** As a user gives it: pictures show it. */
const HANDLER = `./${relative(process.cwd(), resolve(import.meta.dirname, 'handler.ts'))}`

export type Rig = TestService & {
  /** Sends a delivery of a job that Reducto has, and resolves when it stands as `until`. Returns its id. */
  job(options?: JobOptions): Promise<string>
  post(
    jobId: string,
    options?: { readonly id?: string; readonly status?: string; readonly metadata?: unknown },
  ): Promise<Response>
}

type JobOptions = {
  readonly kind?: Kind
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly status?: 'Completed' | 'Failed'
  readonly reason?: string | null
  readonly until?: 'done' | 'dead' | 'queued' | 'nothing'
  readonly document?: NewJob['document']
}

/** Whether the handler's troubles are over. */
export function mend(isMended: boolean): void {
  ;(globalThis as { operatorTestIsMended?: boolean }).operatorTestIsMended = isMended
}

export async function startRig(env: Readonly<Record<string, string>> = {}): Promise<Rig> {
  mend(false)
  const events = createEvents()
  const service = await testService({
    events,
    env: { ADMIN_TOKEN: TOKEN, ADMIN_READ_TOKEN: READ_TOKEN, HANDLER, ...env },
  })
  const { reducto, secret, url } = service

  const post: Rig['post'] = (jobId, { id = newMessageId(), status = 'Completed', metadata = null } = {}) => {
    const body = JSON.stringify({ status, job_id: jobId, metadata })
    return fetch(`${url}/webhook`, { method: 'POST', headers: signed(secret, body, id), body })
  }

  return {
    ...service,
    post,
    async job({ until = 'done', metadata = {}, status = 'Completed', kind = 'parse', ...job } = {}) {
      const jobId = reducto.addJob({ kind, ...job, status, metadata })
      const stands =
        until === 'nothing' ? null : event(events, 'settled', (one) => one.jobId === jobId && one.state === until)
      await post(jobId, { status, metadata })
      await stands
      return jobId
    },
  }
}

/** Why no browser starts here; null when one does. */
export async function whyNoBrowser(): Promise<string | null> {
  try {
    await (await launch()).close()
    return null
  } catch (error) {
    return (error as Error).message.split('\n', 1)[0]!
  }
}

/** Only with this one argument: those that the package proposes switch the browser's own protection off. */
export async function launch(): Promise<Browser> {
  return playwright.launch({ executablePath: await chromium.executablePath(), args: ['--no-sandbox'] })
}

export type Look = { readonly width?: number; readonly scheme?: 'light' | 'dark' }

/** A person's window. Nothing that it runs into may break a rule of the pages: errors are collected. */
export async function openWindow(
  browser: Browser,
  { width = 1280, scheme = 'light' }: Look = {},
): Promise<{ readonly page: Page; readonly context: BrowserContext; readonly errors: readonly string[] }> {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: scheme,
    deviceScaleFactor: 1,
  })
  const page = await context.newPage()
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  onTestFinished(() => context.close())
  return { page, context, errors }
}

export async function signIn(
  page: Page,
  url: string,
  options: { readonly token?: string; readonly name?: string } = {},
): Promise<void> {
  await page.goto(`${url}/sign-in`)
  await page.getByLabel('Token').fill(options.token ?? TOKEN)
  await page.getByLabel(/Your name/).fill(options.name ?? 'ada')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL((to) => !to.pathname.endsWith('/sign-in'))
}
