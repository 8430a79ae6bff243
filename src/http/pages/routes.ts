import type { Request, RequestHandler, Response } from 'express'
import { html, shown } from '../../operator/html.ts'
import { card, type Layout } from '../../operator/layout.ts'
import { type Page, to } from '../../operator/page.ts'
import { aborted, linkSignals } from '../../signals.ts'
import { redirect, send } from '../replies.ts'
import type { Route } from '../routes.ts'
import { endOf } from '../saved-files.ts'
import type { Assets } from './assets.ts'
import { bulkRoute, confirmRoute, oneRoute, pauseRoute, rereadRoute, resumeRoute } from './changes.ts'
import { pageOf, sendPage } from './context.ts'
import type { Opened, PagesDeps } from './deps.ts'
import { QueryRefused } from './filter.ts'
import { jobRoute, jobsRoute, previewRoute } from './jobs.ts'
import { actionsRoute, deadRoute, deliveriesRoute, deliveryRoute } from './lists.ts'
import { overviewRoute } from './overview.ts'
import { pictureRoute } from './picture.ts'
import { revealDeliveryRoute, revealJobRoute } from './reveal.ts'
import { BUSY, NOT_OPEN, TooSlow, type Trouble, troubleOf, troubleReply } from './trouble.ts'
import { type Handle, visitOf } from './visit.ts'

/** What a page costs. `bulk`: it may walk over all jobs; `picture`: it waits for the store of results. */
type Cost = 'page' | 'picture' | 'bulk'

/** The operator's pages: for people who have signed in. `page`: to be looked at; `form`: changes something. */
export function pageRoutes(deps: PagesDeps, assets: Assets): readonly Route[] {
  const shared: Shared = { deps, assets, visits: { page: 0, picture: 0, bulk: 0 } }
  const page = (path: string, handle: Handle, cost: Cost = 'page'): Route => ({
    method: 'GET',
    path,
    caller: 'page',
    handle: routed(shared, handle, cost),
  })
  const form = (path: string, handle: Handle, cost: Cost = 'page'): Route => ({
    method: 'POST',
    path,
    caller: 'form',
    handle: routed(shared, handle, cost),
  })
  return [
    page('/', overviewRoute),
    page('/jobs', jobsRoute),
    page('/jobs/:id', jobRoute),
    page('/jobs/:id/preview', previewRoute),
    page('/jobs/:id/pictures/*file', pictureRoute, 'picture'),
    page('/dead', deadRoute),
    page('/deliveries', deliveriesRoute),
    page('/deliveries/:id', deliveryRoute),
    page('/actions', actionsRoute),
    page('/confirm', confirmRoute, 'bulk'),
    form('/bulk', bulkRoute, 'bulk'),
    form('/jobs/:id/retry', oneRoute('retry')),
    form('/jobs/:id/replay', oneRoute('replay')),
    form('/jobs/:id/content', revealJobRoute),
    form('/deliveries/:id/retry', rereadRoute),
    form('/deliveries/:id/content', revealDeliveryRoute),
    form('/worker/pause', pauseRoute),
    form('/worker/resume', resumeRoute),
  ]
}

/**
 * Pages of each cost that are made at once: the reader of the inbox has one thread, a picture is up to 2 MiB of memory, and two
 * walks over all jobs would take twice as long.
 */
const MAX_VISITS: Readonly<Record<Cost, number>> = { page: 16, picture: 16, bulk: 2 }
/** A page that is not made by then is given up, ms: what it waits for must not keep its place. */
const MAX_VISIT_MS = 15_000
/** A walk over all jobs sends nothing for long. It ends with its caller, or after this time without a byte, ms. */
const MAX_BULK_SILENCE_MS = 10 * 60_000

type Shared = { readonly deps: PagesDeps; readonly assets: Assets; readonly visits: Record<Cost, number> }

function routed({ deps, assets, visits }: Shared, handle: Handle, cost: Cost): RequestHandler {
  const { publicUrl } = deps.service
  const say = (request: Request, response: Response, trouble: Trouble) =>
    send(response, troubleReply(request, trouble, { assets: assets.folder, publicUrl }))

  async function show(request: Request, response: Response, opened: Opened, end: AbortSignal): Promise<void> {
    const { jobs } = await opened.ledger.stats()
    const page = pageOf(request, response, deps, { assets: assets.folder, dead: jobs.dead })
    await handle(visitOf({ request, response, deps, opened, page, end })).catch((error) => {
      if (!(error instanceof QueryRefused)) throw error
      sendPage(response, page, notUnderstood(page, error.message), 400)
    })
  }

  return async (request, response) => {
    const opened = deps.opened()
    if (opened === null) return say(request, response, NOT_OPEN)
    // Without its last slash every link of the first page would lead beside the folder that it is mounted at.
    if (request.path === '/' && !pathOf(request.originalUrl).endsWith('/'))
      return send(response, redirect(`./${pathOf(request.originalUrl).split('/').at(-1)!}/`))
    if (visits[cost] >= MAX_VISITS[cost]) return say(request, response, BUSY)
    if (cost === 'bulk') request.socket.setTimeout(MAX_BULK_SILENCE_MS)
    visits[cost]++
    const gone = endOf(response)
    const late = new AbortController()
    using end = linkSignals(gone, late.signal)
    using over = aborted(end.signal)
    const limit = cost === 'bulk' ? undefined : setTimeout(() => late.abort(new TooSlow()), MAX_VISIT_MS)
    try {
      const ended = over.promise.then(() => Promise.reject(end.signal.reason))
      await Promise.race([show(request, response, opened, end.signal), ended])
    } catch (error) {
      // Nothing is said to a visitor who has gone, and nothing about one.
      if (response.destroyed || gone.aborted) return
      const trouble = troubleOf(late.signal.aborted ? late.signal.reason : error)
      if (!trouble.isExpected) deps.events.emit('failing', { what: 'request', error: error as Error })
      // Half an answer cannot be taken back.
      if (response.headersSent) response.destroy()
      else say(request, response, trouble)
    } finally {
      clearTimeout(limit)
      visits[cost]--
    }
  }
}

function notUnderstood(page: Page, why: string): Layout {
  const body = html`<p class="inside">${shown(why)}. <a href="${to(page, ['jobs'])}">Go to the jobs</a></p>`
  return { title: 'Not understood', place: 'none', live: null, body: card('This address means nothing', body) }
}

function pathOf(url: string): string {
  return url.split('?', 1)[0]!
}
