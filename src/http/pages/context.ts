import type { Request, Response } from 'express'
import type { Html } from '../../operator/html.ts'
import { type Layout, layout } from '../../operator/layout.ts'
import type { Notice, Page } from '../../operator/page.ts'
import { zoneOf } from '../../operator/time.ts'
import { contentFor } from '../content.ts'
import { html, send } from '../replies.ts'
import { identityIn } from '../session/identity.ts'
import { rootFrom } from '../session/next.ts'
import type { PagesDeps } from './deps.ts'
import { givenIn } from './filter.ts'

/** What every page is told about its request. */
export function pageOf(
  request: Request,
  response: Response,
  { clock, service }: Pick<PagesDeps, 'clock' | 'service'>,
  more: { readonly assets: string; readonly dead: number },
): Page {
  const given = givenIn(request)
  const { role } = identityIn(response)
  return {
    ...lookOf(request, service.publicUrl),
    assets: more.assets,
    now: clock.now(),
    role,
    dead: more.dead,
    notice: noticeIn(given),
    hidesContent: contentFor({ hides: service.hidesContent, role, isAskedFor: false }) === 'hidden',
  }
}

/** How a page looks, also to somebody who has not signed in. */
export function lookOf(request: Request, publicUrl: string | null): Pick<Page, 'root' | 'zone' | 'theme' | 'label'> {
  const theme = cookieOf(request, 'theme')
  return {
    root: rootFrom(request.path),
    zone: zoneOf(cookieOf(request, 'tz')),
    theme: theme === 'light' || theme === 'dark' ? theme : null,
    label: publicUrl === null ? null : (URL.parse(publicUrl)?.host ?? null),
  }
}

function cookieOf({ headers }: Request, name: string): string | undefined {
  const found = (headers.cookie ?? '').split(/; */).find((pair) => pair.startsWith(`${name}=`))
  if (found === undefined) return undefined
  try {
    return decodeURIComponent(found.slice(name.length + 1))
  } catch {
    return undefined
  }
}

/** What a form did, as the page after it tells: by a code and a number, so that no link can have a page say anything else. */
const DID: Readonly<Record<string, (count: string) => string>> = {
  retry: (count) => `${jobs(count)} queued again.`,
  refetch: (count) => `${jobs(count)} queued to be fetched anew.`,
  replay: (count) => `${jobs(count)} queued to be handed over again.`,
  delete: (count) => `${jobs(count)} erased.`,
  delete_deliveries: (count) => `The bodies of ${count} deliveries without a job were erased.`,
  pause: () => 'The worker is paused. Deliveries are still accepted.',
  resume: () => 'The worker goes on.',
  reread: (count) => (count === '0' ? 'It still names no job.' : 'It names a job now, which was queued.'),
}

const REFUSED: Readonly<Record<string, string>> = {
  running: 'Nothing was done: the job is being worked on. Try again in a moment.',
  erased: 'Nothing was done: the job was erased.',
  no_handler: 'Nothing was done: neither HANDLER nor FORWARD_URL is set, so there is nothing to call.',
  unsaved: 'Nothing was done: no result is saved any more.',
  changed: 'Nothing was done: this was finished since the page was shown. Look at it again.',
  nothing: 'Nothing was done.',
  cut: 'Only the start of its body is kept: press Resend in Svix.',
}

function jobs(count: string): string {
  return count === '1' ? 'The job was' : `${count} jobs were`
}

function noticeIn(given: URLSearchParams): Notice | null {
  const [did, why] = [given.get('did'), given.get('refused')]
  const count = given.get('n') ?? '1'
  if (did !== null && Object.hasOwn(DID, did) && /^\d{1,6}$/.test(count)) return { is: 'done', text: DID[did]!(count) }
  return why !== null && Object.hasOwn(REFUSED, why) ? { is: 'refused', text: REFUSED[why]! } : null
}

/** Why a single job was left alone, as a code of `REFUSED`. */
export function refusedCode(why: string): string {
  if (why.includes('worked on')) return 'running'
  return why.includes('erased') ? 'erased' : 'nothing'
}

export function sendPage(response: Response, page: Page, content: Layout, status = 200): void {
  send(response, html(status, String(layout(page, content))))
}

export function sendFragment(response: Response, fragment: Html): void {
  send(response, html(200, String(fragment)))
}
