import type { DeliveryDetail, DeliveryFilter, DeliveryPage, DeliveryRow, ListedDelivery, Page } from '../inbox.ts'
import { type Conditions, isEvery, lower } from './match.ts'
import { bodyOf, type Memory, type StoredDelivery } from './memory.ts'
import { pageOf } from './page.ts'

/** What operators look up beside jobs: deliveries, bodies, ids by their start. */
export function createDeliveryQueries(memory: Memory) {
  function deliveries(filter: DeliveryFilter, page: Page): DeliveryPage {
    const found = [...memory.deliveries.values()].filter((one) => isEvery(CONDITIONS, one, filter)).reverse()
    const { rows, next, last } = pageOf(found, page, ({ number }) => number)
    return { rows: rows.map(listedDeliveryOf), next, searchedTo: last?.receivedAt ?? null }
  }

  function delivery(svixId: string): DeliveryDetail | null {
    const kept = memory.deliveries.get(svixId)
    return kept ? { ...listedDeliveryOf(kept), body: kept.body?.toString('utf8') ?? null } : null
  }

  function bodies(jobIds: readonly string[]): readonly (string | null)[] {
    return jobIds.map((jobId) => {
      const entry = memory.jobs.get(jobId)
      return entry ? bodyOf(entry) : null
    })
  }

  function idsFrom(kind: 'job' | 'delivery', prefix: string, limit: number): readonly string[] {
    const ids = [...(kind === 'job' ? memory.jobs : memory.deliveries).keys()]
    return ids
      .filter((id) => id.startsWith(prefix))
      .sort()
      .slice(0, limit)
  }

  return { deliveries, delivery, bodies, idsFrom }
}

const CONDITIONS: Conditions<StoredDelivery, DeliveryFilter> = {
  disposition: (one, disposition) => one.disposition === disposition,
  endpoint: (one, endpoint) => lower(one.endpoint) === lower(endpoint),
  since: ({ receivedAt }, since) => receivedAt >= since,
  q: ({ svixId }, q) => svixId.startsWith(q),
}

export function deliveryRowOf(delivery: StoredDelivery): DeliveryRow {
  const { svixId, endpoint, disposition, status, receivedAt, lastAt, arrivals } = delivery
  return { svixId, endpoint, disposition, status, receivedAt, lastAt, arrivals }
}

function listedDeliveryOf(delivery: StoredDelivery): ListedDelivery {
  return { ...deliveryRowOf(delivery), jobId: delivery.jobId, note: delivery.rejectedReason }
}
