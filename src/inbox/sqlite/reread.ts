import type { DatabaseSync } from 'node:sqlite'
import type { Content, Delivery } from '../inbox.ts'
import type { Writer } from './writer.ts'

/**
 * Takes a recorded delivery that concerned no job for what its body says now. It is recorded anew under its own id, so
 * that whatever accepting it does is done by the one function that accepts; how often it arrived is kept.
 */
export function createReread(db: DatabaseSync, writer: Pick<Writer, 'accept' | 'tally'>) {
  const find = db.prepare(
    `SELECT seq, endpoint, disposition, received_at, last_at, arrivals, body FROM delivery
       LEFT JOIN delivery_body USING (seq) WHERE svix_id = :svixId`,
  )
  const removals = ['delivery_body', 'delivery'].map((table) => db.prepare(`DELETE FROM ${table} WHERE seq = :seq`))
  const restore = db.prepare('UPDATE delivery SET arrivals = :arrivals, last_at = :lastAt WHERE svix_id = :svixId')

  return (svixId: string, content: Content, now: number): 'job' | 'unchanged' | 'unknown' => {
    const row = find.get({ svixId }) as DeliveryTableRow | undefined
    if (!row) return 'unknown'
    if (row.disposition === 'job' || content.is !== 'job' || row.body === null) return 'unchanged'
    const verifiedAt = writer.tally.value('last_verified_at')
    for (const removal of removals) removal.run({ seq: row.seq })
    writer.tally.count(`delivery:${row.disposition}`, -1)
    const { endpoint, received_at: receivedAt, last_at: lastAt, arrivals } = row
    const delivery: Delivery = { svixId, endpoint, receivedAt, body: Buffer.from(row.body).toString(), content }
    writer.accept(delivery, now)
    restore.run({ svixId, arrivals, lastAt })
    // Nothing was verified now.
    writer.tally.verified(verifiedAt)
    return 'job'
  }
}

type DeliveryTableRow = {
  readonly seq: number
  readonly endpoint: string
  readonly disposition: Content['is']
  readonly received_at: number
  readonly last_at: number
  readonly arrivals: number
  readonly body: Uint8Array | null
}
