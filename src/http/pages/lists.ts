import { parseLossless } from '../../lossless-json.ts'
import { listDeliveries, showDelivery } from '../../operations/deliveries.ts'
import { actionsPage } from '../../operator/actions.ts'
import { deadPage } from '../../operator/dead.ts'
import { type DeliveryModel, deliveriesPage, deliveryPage } from '../../operator/deliveries.ts'
import { notFoundPage } from '../../operator/not-found.ts'
import { lastedText } from '../../operator/time.ts'
import { sendPage } from './context.ts'
import { cursorOf, givenIn, one, QueryRefused } from './filter.ts'
import { causesOf } from './journal.ts'
import { patience } from './patience.ts'
import type { Handle, Visit } from './visit.ts'

const PAGE_ROWS = 50

export const deadRoute: Handle = async ({ response, opened, page }) => {
  const [causes, stats] = await Promise.all([causesOf(opened.ledger), opened.ledger.stats()])
  sendPage(response, page, deadPage(page, { causes, jobs: stats.jobs.dead }))
}

const DISPOSITIONS = ['job', 'ignored', 'rejected'] as const

export const deliveriesRoute: Handle = async ({ request, response, opened, deps, page }) => {
  const given = givenIn(request)
  const [wanted, endpoint, q] = [one(given, 'disposition'), one(given, 'endpoint'), one(given, 'q')]
  const disposition = DISPOSITIONS.find((known) => known === wanted)
  if (wanted !== undefined && disposition === undefined) throw new QueryRefused(`there is no disposition ${wanted}`)
  const cursor = cursorOf(given)
  const filter = {
    ...(disposition === undefined ? {} : { disposition }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(q === undefined ? {} : { q }),
  }
  const { ledger } = opened
  const [stats, found] = await Promise.all([
    ledger.stats(),
    listDeliveries({ ledger, contentOf: deps.contentOf }, filter, {
      limit: PAGE_ROWS,
      cursor,
      hasTime: patience(deps.clock),
    }),
  ])
  const query = { disposition, endpoint, q }
  sendPage(
    response,
    page,
    deliveriesPage(page, { query, ...found, isFirst: cursor === undefined, counts: stats.deliveries }),
  )
}

export const deliveryRoute: Handle = async (visit) => showOne(visit, visit.page.hidesContent)

/** The delivery with its body, although content is hidden elsewhere. The caller has noted who asked for it. */
export async function showRevealedDelivery(visit: Visit): Promise<void> {
  await showOne(visit, false)
}

async function showOne({ request, response, opened, deps, page }: Visit, isHidden: boolean): Promise<void> {
  const id = String(request.params.id)
  const shown = await showDelivery({ ledger: opened.ledger, contentOf: deps.contentOf }, id)
  if (shown.is === 'refused') {
    const { lastVerifiedAt } = await opened.ledger.stats()
    const lastDelivery = lastVerifiedAt === null ? null : lastedText(Math.max(page.now - lastVerifiedAt, 0))
    return sendPage(response, page, notFoundPage(page, { what: 'delivery', id, candidates: [], lastDelivery }), 404)
  }
  const { delivery } = shown
  sendPage(response, page, deliveryPage(page, { delivery, body: isHidden ? 'hidden' : bodyOf(delivery.body) }))
}

function bodyOf(text: string | null): DeliveryModel['body'] {
  if (text === null) return 'erased'
  try {
    return { parsed: parseLossless(text), text }
  } catch {
    return { parsed: undefined, text }
  }
}

export const actionsRoute: Handle = async ({ request, response, opened, page }) => {
  const cursor = cursorOf(givenIn(request))
  const found = await opened.ledger.actions({
    limit: PAGE_ROWS,
    ...(cursor === undefined ? {} : { cursor }),
  })
  sendPage(response, page, actionsPage(page, { ...found, isFirst: cursor === undefined }))
}
