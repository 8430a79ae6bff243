import type { DatabaseSync } from 'node:sqlite'
import type {
  Content,
  DeliveryDetail,
  DeliveryFilter,
  DeliveryPage,
  JobFilter,
  JobRow,
  ListedDelivery,
  OperatorPause,
  Page,
  ServiceState,
} from '../inbox.ts'
import { JOB_COLUMNS, type JobTableRow, jobRowOf, matching } from './rows.ts'

/** Rows that one statement looks at. */
const STEP_ROWS = 5_000
/** A request looks for this long at most, ms; then it says how far it got. */
const MAX_REQUEST_MS = 40
/** Above every character that an id may have: where ids with a prefix end. */
const LAST = '\u{10ffff}'

const DELIVERY_COLUMNS = 'seq, svix_id, endpoint, disposition, job_id, status, received_at, last_at, arrivals'

/** What a condition on `delivery` is for each part of a filter. */
const CONDITIONS: { readonly [K in keyof DeliveryFilter]-?: string } = {
  disposition: 'disposition = :disposition',
  endpoint: 'endpoint = :endpoint COLLATE NOCASE',
  since: 'received_at >= :since',
  q: 'substr(svix_id, 1, length(:q)) = :q',
}

/** What operators look up: deliveries, ids by their start, the oldest job. */
export function createLookups(db: DatabaseSync) {
  const newestDelivery = db.prepare('SELECT MAX(seq) AS seq FROM delivery')
  const receivedAt = db.prepare('SELECT received_at FROM delivery WHERE seq >= :seq ORDER BY seq LIMIT 1')
  const one = db.prepare(
    `SELECT ${DELIVERY_COLUMNS}, body FROM delivery LEFT JOIN delivery_body USING (seq) WHERE svix_id = :svixId`,
  )
  const body = db.prepare(
    'SELECT body FROM job JOIN delivery_body ON delivery_body.seq = job.first_delivery WHERE job_id = :jobId',
  )
  const bounds = db.prepare('SELECT MIN(seq) AS first, MAX(seq) AS last FROM job')
  const pause = db.prepare('SELECT since, reason FROM pause')
  const startedAt = db.prepare("SELECT value FROM counter WHERE name = 'started_at'")
  const ids = {
    job: db.prepare('SELECT job_id AS id FROM job WHERE job_id >= :from AND job_id < :to ORDER BY job_id LIMIT :limit'),
    delivery: db.prepare(
      'SELECT svix_id AS id FROM delivery WHERE svix_id >= :from AND svix_id < :to ORDER BY svix_id LIMIT :limit',
    ),
  }

  function deliveries(filter: DeliveryFilter, page: Page): DeliveryPage {
    const { where, values } = deliveriesMatching(filter)
    const statement = db.prepare(
      `SELECT ${DELIVERY_COLUMNS} FROM delivery WHERE seq < :before AND seq >= :from AND ${where} ORDER BY seq DESC LIMIT :limit`,
    )
    const rows: DeliveryTableRow[] = []
    const deadline = performance.now() + MAX_REQUEST_MS
    // Those that concern no job have an index of their own, which is small.
    const step = filter.disposition === 'ignored' || filter.disposition === 'rejected' ? Infinity : STEP_ROWS
    const newest = (newestDelivery.get() as { seq: number | null }).seq ?? 0
    let at = Math.min(page.cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(page.cursor), newest + 1)
    while (at > 1) {
      const from = Math.max(at - step, 1)
      const limit = page.limit - rows.length
      const found = statement.all({ ...values, before: at, from, limit }) as unknown as DeliveryTableRow[]
      rows.push(...found)
      at = found.length === limit ? found.at(-1)!.seq : from
      if (rows.length >= page.limit || performance.now() >= deadline) break
    }
    const isOver = at <= 1
    return {
      rows: rows.map(listedOf),
      next: isOver ? null : String(at),
      searchedTo: isOver
        ? null
        : ((receivedAt.get({ seq: at }) as { received_at: number } | undefined)?.received_at ?? null),
    }
  }

  function delivery(svixId: string): DeliveryDetail | null {
    const row = one.get({ svixId }) as (DeliveryTableRow & { body: Uint8Array | null }) | undefined
    return row ? { ...listedOf(row), body: textOf(row.body) } : null
  }

  function bodies(jobIds: readonly string[]): readonly (string | null)[] {
    return jobIds.map((jobId) => textOf((body.get({ jobId }) as { body: Uint8Array } | undefined)?.body ?? null))
  }

  function idsFrom(kind: 'job' | 'delivery', prefix: string, limit: number): readonly string[] {
    const rows = ids[kind].all({ from: prefix, to: prefix + LAST, limit }) as { id: string }[]
    return rows.map(({ id }) => id)
  }

  /** A part of the walk from the oldest job on, from `after`: the first that matches, or where the walk goes on. */
  function oldest(filter: JobFilter, after: number): { readonly row: JobRow | null; readonly next: number | null } {
    const { where, values } = matching(filter)
    const statement = db.prepare(
      `SELECT ${JOB_COLUMNS} FROM job WHERE seq > :after AND seq <= :to AND ${where} ORDER BY seq LIMIT 1`,
    )
    const { first, last } = bounds.get() as { first: number | null; last: number | null }
    const deadline = performance.now() + MAX_REQUEST_MS
    let at = Math.max(after, (first ?? 1) - 1)
    while (at < (last ?? 0)) {
      const row = statement.get({ ...values, after: at, to: at + STEP_ROWS }) as JobTableRow | undefined
      if (row) return { row: jobRowOf(row), next: null }
      at += STEP_ROWS
      if (performance.now() >= deadline) return { row: null, next: at }
    }
    return { row: null, next: null }
  }

  function service(): ServiceState {
    const started = startedAt.get() as { value: number } | undefined
    return { pause: (pause.get() as OperatorPause | undefined) ?? null, startedAt: started?.value ?? null }
  }

  return { deliveries, delivery, bodies, idsFrom, oldest, service }
}

function deliveriesMatching(filter: DeliveryFilter): { where: string; values: Record<string, string | number> } {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  const conditions = given.map(([part]) => CONDITIONS[part as keyof DeliveryFilter])
  // The index is only used where its own condition stands in the query.
  if (filter.disposition === 'ignored' || filter.disposition === 'rejected') conditions.push("disposition <> 'job'")
  return { where: ['TRUE', ...conditions].join(' AND '), values: Object.fromEntries(given) }
}

type DeliveryTableRow = {
  readonly seq: number
  readonly svix_id: string
  readonly endpoint: string
  readonly disposition: Content['is']
  readonly job_id: string | null
  readonly status: string | null
  readonly received_at: number
  readonly last_at: number
  readonly arrivals: number
}

function listedOf(row: DeliveryTableRow): ListedDelivery {
  return {
    svixId: row.svix_id,
    endpoint: row.endpoint,
    disposition: row.disposition,
    jobId: row.job_id,
    status: row.status,
    receivedAt: row.received_at,
    lastAt: row.last_at,
    arrivals: row.arrivals,
  }
}

function textOf(body: Uint8Array | null): string | null {
  return body === null ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()
}
