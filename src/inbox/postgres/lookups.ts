import type { DeliveryDetail, DeliveryFilter, DeliveryPage, Page } from '../inbox.ts'
import { BODY_OF_JOB } from './candidates.ts'
import { deliveriesMatching } from './filters.ts'
import type { Lane } from './lane.ts'
import { DELIVERY_COLUMNS, type DeliveryTableRow, listedDeliveryOf, storable } from './rows.ts'
import { cursorOf, STEP_ROWS, walkDown } from './walk.ts'

/** Above every character that an id may have: where ids with a prefix end. */
const LAST = '\u{10ffff}'

const IDS = {
  job: 'SELECT job_id AS id FROM job WHERE job_id >= $1 AND job_id < $2 ORDER BY job_id LIMIT $3::integer',
  delivery:
    'SELECT svix_id AS id FROM delivery WHERE svix_id >= $1 AND svix_id < $2 ORDER BY svix_id LIMIT $3::integer',
} as const
/** The end of a step through those that concern no job, which are few among many. */
const STEP_OF_OTHERS = `SELECT seq FROM delivery WHERE disposition <> 'job' AND seq < $1 ORDER BY seq DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`

/** What operators look up beside jobs: deliveries, bodies, ids by their start. */
export function createLookups(lane: Lane) {
  const ask = <R extends object>(text: string, values: readonly unknown[]) =>
    lane.transaction((tx) => tx.query<R>(text, values))

  async function deliveries(filter: DeliveryFilter, page: Page): Promise<DeliveryPage> {
    const { where, values, isOther } = deliveriesMatching(filter, 4)
    const text = `SELECT ${DELIVERY_COLUMNS} FROM delivery WHERE seq < $1 AND seq >= $2 AND ${where} ORDER BY seq DESC LIMIT $3::integer`
    const [newest] = await ask<{ seq: number | null }>('SELECT max(seq) AS seq FROM delivery', [])
    const { rows, next } = await walkDown<DeliveryTableRow>({
      ...{ before: cursorOf(page), enough: page.limit, newest: newest?.seq ?? 0 },
      stepFrom: async (before) => (isOther ? await otherStepFrom(before) : before - STEP_ROWS),
      read: ({ before, from, limit }) => ask(text, [before, from, limit, ...values]),
    })
    return {
      rows: rows.map(listedDeliveryOf),
      next: next === null ? null : String(next),
      searchedTo: next === null ? null : await receivedAt(next),
    }
  }

  async function receivedAt(seq: number): Promise<number | null> {
    const [row] = await ask<{ at: number }>(
      'SELECT received_at AS at FROM delivery WHERE seq >= $1 ORDER BY seq LIMIT 1',
      [seq],
    )
    return row?.at ?? null
  }

  async function otherStepFrom(before: number): Promise<number> {
    const [row] = await ask<{ seq: number }>(STEP_OF_OTHERS, [before])
    return row?.seq ?? 1
  }

  async function delivery(svixId: string): Promise<DeliveryDetail | null> {
    const [row] = await ask<DeliveryTableRow & { body: Buffer | null }>(
      `SELECT ${DELIVERY_COLUMNS}, body FROM delivery WHERE svix_id = $1`,
      [storable(svixId)],
    )
    return row ? { ...listedDeliveryOf(row), body: row.body?.toString('utf8') ?? null } : null
  }

  async function bodies(jobIds: readonly string[]): Promise<readonly (string | null)[]> {
    const rows = await ask<{ job_id: string; body: Buffer | null }>(
      `SELECT job.job_id, ${BODY_OF_JOB} AS body FROM job WHERE job.job_id = ANY($1::text[])`,
      [jobIds.map(storable)],
    )
    const found = new Map(rows.map((row) => [row.job_id, row.body]))
    return jobIds.map((jobId) => found.get(jobId)?.toString('utf8') ?? null)
  }

  async function idsFrom(kind: 'job' | 'delivery', prefix: string, limit: number): Promise<readonly string[]> {
    const from = storable(prefix)
    const rows = await ask<{ id: string }>(IDS[kind], [from, from + LAST, limit])
    return rows.map(({ id }) => id)
  }

  return { deliveries, delivery, bodies, idsFrom }
}
