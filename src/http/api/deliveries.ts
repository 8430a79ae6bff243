import { z } from 'zod'
import { rereadDelivery, searchDeliveries, showDelivery } from '../../operations/deliveries.ts'
import { contentOf } from '../../receive/parse.ts'
import { NOT_FOUND } from '../replies.ts'
import { DELIVERIES, DELIVERY, REREAD } from './answers.ts'
import { CONTENT, HIDDEN, isShown } from './content.ts'
import { BODY_CUT, HAS_JOB, NO_BODY } from './errors.ts'
import { DELIVERY_FILTERS, deliveryFilterOf, PAGE, pageOf } from './fields.ts'
import { type ApiRoute, apiRoute } from './table.ts'

const NO_QUERY = z.object({})

/** What can be asked and done about deliveries. */
export const DELIVERY_ROUTES: readonly ApiRoute[] = [
  apiRoute({
    method: 'GET',
    path: '/api/deliveries',
    caller: 'read',
    cost: 'question',
    summary: 'Deliveries, the newest first; also ignored and rejected ones.',
    query: z.object({ ...DELIVERY_FILTERS, ...PAGE }),
    body: null,
    answer: DELIVERIES,
    refusals: [],
    async handle({ query, work }) {
      const found = await searchDeliveries({ ...work, contentOf }, deliveryFilterOf(query), pageOf(query))
      const { rows: deliveries, ...page } = found
      return { value: { deliveries, ...page } }
    },
  }),
  apiRoute({
    method: 'GET',
    path: '/api/deliveries/:svix_id',
    caller: 'read',
    cost: 'question',
    summary: 'One delivery with its body.',
    query: z.object(CONTENT),
    body: null,
    answer: DELIVERY,
    refusals: [404],
    async handle(call) {
      const id = String(call.params.svix_id)
      const shown = await showDelivery({ ...call.work, contentOf }, id)
      if (shown.is === 'refused' || shown.delivery.svixId !== id) return NOT_FOUND
      const isOpen = await isShown(call, { what: 'show_delivery', ids: [id] })
      return { value: isOpen ? shown.delivery : { ...shown.delivery, body: null, ...HIDDEN } }
    },
  }),
  apiRoute({
    method: 'POST',
    path: '/api/deliveries/:svix_id/retry',
    caller: 'write',
    cost: 'question',
    summary: 'Reads an ignored or rejected delivery again, as after an upgrade that understands it.',
    query: NO_QUERY,
    body: z.object({}),
    answer: REREAD,
    refusals: [404, 409],
    async handle({ params: { svix_id: id }, work }) {
      const svixId = String(id)
      const became = await rereadDelivery({ ...work, contentOf }, svixId)
      if (typeof became === 'string') return { value: { svixId, queued: became === 'job' } }
      return { unknown: NOT_FOUND, has_job: HAS_JOB, no_body: NO_BODY, cut: BODY_CUT }[became.code]
    },
  }),
]
