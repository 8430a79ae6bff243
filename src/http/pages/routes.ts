import type { RequestHandler } from 'express'
import { html, shown } from '../../operator/html.ts'
import { card, type Layout } from '../../operator/layout.ts'
import { type Page, to } from '../../operator/page.ts'
import { json, redirect, send } from '../replies.ts'
import type { Route } from '../routes.ts'
import type { Assets } from './assets.ts'
import { bulkRoute, confirmRoute, oneRoute, pauseRoute, rereadRoute, resumeRoute } from './changes.ts'
import { pageOf, sendPage } from './context.ts'
import type { PagesDeps } from './deps.ts'
import { QueryRefused } from './filter.ts'
import { jobRoute, jobsRoute, previewRoute } from './jobs.ts'
import { actionsRoute, deadRoute, deliveriesRoute, deliveryRoute } from './lists.ts'
import { overviewRoute } from './overview.ts'
import { pictureRoute } from './picture.ts'
import { revealDeliveryRoute, revealJobRoute } from './reveal.ts'
import { type Handle, visitOf } from './visit.ts'

/** The operator's pages: for people who have signed in. `page`: to be looked at; `form`: changes something. */
export function pageRoutes(deps: PagesDeps, assets: Assets): readonly Route[] {
  const shared = { deps, assets, visits: { now: 0 } }
  const page = (path: string, handle: Handle): Route => ({
    method: 'GET',
    path,
    caller: 'page',
    handle: routed(shared, handle),
  })
  const form = (path: string, handle: Handle): Route => ({
    method: 'POST',
    path,
    caller: 'form',
    handle: routed(shared, handle),
  })
  return [
    page('/', overviewRoute),
    page('/jobs', jobsRoute),
    page('/jobs/:id', jobRoute),
    page('/jobs/:id/preview', previewRoute),
    page('/jobs/:id/pictures/*file', pictureRoute),
    page('/dead', deadRoute),
    page('/deliveries', deliveriesRoute),
    page('/deliveries/:id', deliveryRoute),
    page('/actions', actionsRoute),
    page('/confirm', confirmRoute),
    form('/bulk', bulkRoute),
    form('/jobs/:id/retry', oneRoute('retry')),
    form('/jobs/:id/replay', oneRoute('replay')),
    form('/jobs/:id/content', revealJobRoute),
    form('/deliveries/:id/retry', rereadRoute),
    form('/deliveries/:id/content', revealDeliveryRoute),
    form('/worker/pause', pauseRoute),
    form('/worker/resume', resumeRoute),
  ]
}

/** Pages that are made at once: each asks the inbox a few things, and its reader has one thread. */
const MAX_VISITS = 16

type Shared = { readonly deps: PagesDeps; readonly assets: Assets; readonly visits: { now: number } }

const BUSY = json(503, { error: 'busy' }, { 'retry-after': '2' })
const NOT_OPEN = json(503, { error: 'unavailable' }, { 'retry-after': '5' })

function routed({ deps, assets, visits }: Shared, handle: Handle): RequestHandler {
  return async (request, response) => {
    const opened = deps.opened()
    if (opened === null) return send(response, NOT_OPEN)
    // Without its last slash every link of the first page would lead beside the folder that it is mounted at.
    if (request.path === '/' && !pathOf(request.originalUrl).endsWith('/'))
      return send(response, redirect(`./${pathOf(request.originalUrl).split('/').at(-1)!}/`))
    if (visits.now >= MAX_VISITS) return send(response, BUSY)
    visits.now++
    try {
      const { jobs } = await opened.ledger.stats()
      const page = pageOf(request, response, deps, { assets: assets.folder, dead: jobs.dead })
      await handle(visitOf({ request, response, deps, opened, page })).catch((error) => {
        if (!(error instanceof QueryRefused)) throw error
        sendPage(response, page, notUnderstood(page, error.message), 400)
      })
    } finally {
      visits.now--
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
