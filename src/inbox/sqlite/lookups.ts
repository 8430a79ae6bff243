import type { DatabaseSync } from 'node:sqlite'
import type { DeliveryDetail, DeliveryFilter, DeliveryPage, Page } from '../inbox.ts'
import { BODY_OF_JOB, type DeliveryTableRow, deliveriesMatching, listedDeliveryOf } from './rows.ts'
import { cursorOf, STEP_ROWS, walkDown } from './walk.ts'

/** Above every character that an id may have: where ids with a prefix end. */
const LAST = '\u{10ffff}'

/** What operators look up beside jobs: deliveries, bodies, ids by their start. */
export function createLookups(db: DatabaseSync) {
  const newest = db.prepare('SELECT MAX(seq) AS seq FROM delivery')
  const receivedAt = db.prepare('SELECT received_at AS at FROM delivery WHERE seq >= :seq ORDER BY seq LIMIT 1')
  /** The end of a step through those that concern no job, which are few among many. */
  const stepOfOthers = db.prepare(
    `SELECT seq FROM delivery WHERE disposition <> 'job' AND seq < :before ORDER BY seq DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
  )
  const one = db.prepare('SELECT * FROM delivery LEFT JOIN delivery_body USING (seq) WHERE svix_id = :svixId')
  const bodyOf = db.prepare(`SELECT ${BODY_OF_JOB} AS body FROM job WHERE job_id = :jobId`)
  const ids = {
    job: db.prepare('SELECT job_id AS id FROM job WHERE job_id >= :from AND job_id < :to ORDER BY job_id LIMIT :limit'),
    delivery: db.prepare(
      'SELECT svix_id AS id FROM delivery WHERE svix_id >= :from AND svix_id < :to ORDER BY svix_id LIMIT :limit',
    ),
  }

  function deliveries(filter: DeliveryFilter, page: Page): DeliveryPage {
    const { where, values, isOther } = deliveriesMatching(filter)
    const statement = db.prepare(
      `SELECT * FROM delivery WHERE seq < :before AND seq >= :from AND ${where} ORDER BY seq DESC LIMIT :limit`,
    )
    const { rows, next } = walkDown<DeliveryTableRow>({
      ...{ before: cursorOf(page), enough: page.limit, newest: (newest.get() as { seq: number | null }).seq ?? 0 },
      stepFrom: (before) => (isOther ? otherStepFrom(before) : before - STEP_ROWS),
      read: (range) => statement.all({ ...values, ...range }) as unknown as DeliveryTableRow[],
    })
    const oldest = next === null ? undefined : (receivedAt.get({ seq: next }) as { at: number } | undefined)
    return {
      rows: rows.map(listedDeliveryOf),
      next: next === null ? null : String(next),
      searchedTo: oldest?.at ?? null,
    }
  }

  function otherStepFrom(before: number): number {
    return (stepOfOthers.get({ before }) as { seq: number } | undefined)?.seq ?? 1
  }

  function delivery(svixId: string): DeliveryDetail | null {
    const row = one.get({ svixId }) as (DeliveryTableRow & { body: Uint8Array | null }) | undefined
    return row ? { ...listedDeliveryOf(row), body: row.body && textOf(row.body) } : null
  }

  function bodies(jobIds: readonly string[]): readonly (string | null)[] {
    return jobIds.map((jobId) => {
      const row = bodyOf.get({ jobId }) as { body: Uint8Array | null } | undefined
      return row?.body ? textOf(row.body) : null
    })
  }

  function idsFrom(kind: 'job' | 'delivery', prefix: string, limit: number): readonly string[] {
    const rows = ids[kind].all({ from: prefix, to: prefix + LAST, limit }) as { id: string }[]
    return rows.map(({ id }) => id)
  }

  return { deliveries, delivery, bodies, idsFrom }
}

/** A stored body as text, without a copy of its bytes. */
export function textOf(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
}
