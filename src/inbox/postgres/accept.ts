import { identify, keptBody, rejectionOf } from '../deliveries.ts'
import type { Delivery, Receipt } from '../inbox.ts'
import { afterDelivery } from '../transitions.ts'
import type { Transaction } from './lane.ts'
import { storable } from './rows.ts'
import { createWork, type Effects, type Entry, type Work } from './work.ts'

/**
 * Records a batch of deliveries in one transaction. What is new costs one statement: deliveries in the order of their ids,
 * then the jobs that they announce first in the order of theirs, so that no two batches wait for each other. Only copies and
 * further deliveries of known jobs need their jobs' rows.
 */

/** Copies of one message within a batch. A statement cannot touch a row twice. */
type Group = {
  readonly svixId: string
  readonly jobId: string | null
  readonly copies: Delivery[]
  /** The first of its batch that names the job: if that is new, it makes it. */
  readonly leads: boolean
}

/** What became of a group's row. `jobSeq`: of the job that it has made. */
type Kept = { readonly seq: number; readonly isFresh: boolean; readonly jobSeq: number | null }

const RECORD = `
WITH given AS MATERIALIZED (
  -- Numbers in the order of arrival; rows in that of their ids.
  SELECT g.*, nextval(pg_get_serial_sequence('delivery', 'seq')) AS delivery_seq,
    CASE WHEN g.leads THEN nextval(pg_get_serial_sequence('job', 'seq')) END AS job_seq
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                       $9::integer[], $10::bytea[], $11::boolean[])
    AS g (svix_id, endpoint, disposition, job_id, status, rejected_reason, received_at, last_at, arrivals, body, leads)
), kept AS (
  INSERT INTO delivery AS d (seq, svix_id, endpoint, disposition, job_id, status, is_later, rejected_reason, received_at, last_at,
                             arrivals, body)
  SELECT delivery_seq, svix_id, endpoint, disposition, job_id, status, disposition = 'job' AND NOT leads, rejected_reason, received_at,
         last_at, arrivals, body
  FROM given ORDER BY svix_id
  ON CONFLICT (svix_id) DO UPDATE SET arrivals = d.arrivals + excluded.arrivals, last_at = excluded.last_at
    WHERE d.job_id IS NOT DISTINCT FROM excluded.job_id
  RETURNING d.seq, d.svix_id, d.disposition, (d.xmax = 0) AS is_fresh
), made AS (
  INSERT INTO job (seq, job_id, endpoint, announced_status, first_delivery, due_at, created_at, queued_at, updated_at)
  SELECT g.job_seq, g.job_id, g.endpoint, g.status, kept.seq, $12::bigint, $12, $12, $12
  FROM given AS g JOIN kept USING (svix_id)
  WHERE g.leads AND kept.is_fresh ORDER BY g.job_id
  ON CONFLICT (job_id) DO NOTHING
  RETURNING job_id, seq
), counted AS (
  INSERT INTO counter (name, source, value)
  SELECT * FROM (
    SELECT 'delivery:' || disposition AS name, $13::bigint AS source, count(*) AS value
    FROM kept WHERE is_fresh GROUP BY disposition
    UNION ALL SELECT 'job:queued', $13, count(*) FROM made HAVING count(*) > 0
    UNION ALL SELECT 'last_verified_at', $13, $14::bigint
    UNION ALL SELECT 'last_verified_at:' || endpoint, $13, max(last_at) FROM given GROUP BY endpoint) AS c ORDER BY name
  ON CONFLICT (name, source) DO UPDATE SET value =
    CASE WHEN starts_with(counter.name, 'last_verified_at') THEN excluded.value ELSE counter.value + excluded.value END
)
SELECT kept.seq, kept.svix_id, kept.is_fresh, made.seq AS job_seq
FROM kept JOIN given USING (svix_id) LEFT JOIN made ON given.leads AND made.job_id = given.job_id`

const SET_LATER = `UPDATE delivery SET is_later = c.is_later FROM unnest($1::bigint[], $2::boolean[]) AS c (seq, is_later)
  WHERE delivery.seq = c.seq`

export type Accepted = { readonly receipts: readonly Receipt[]; readonly effects: Effects }

/** `source`: see `createWork`. Texts of the deliveries can be stored: see `storableDelivery`. */
export async function acceptBatch(
  tx: Transaction,
  deliveries: readonly Delivery[],
  options: { readonly source: number; readonly now: number },
  /** The rows have their numbers: a later batch may begin, and gets later ones. */
  onNumbered: () => void = () => {},
): Promise<Accepted> {
  const work = createWork(tx, options)
  const kept = new Map<Delivery, { readonly group: Group; readonly row: Kept }>()
  // An id that is taken by a message about another job leaves those of the second round.
  let left = deliveries
  for (const [round, idOf] of [ownId, otherId].entries()) {
    const { groups, rest } = grouped(left, idOf, round)
    const rows = groups.length > 0 ? await record(tx, groups, options) : new Map<string, Kept>()
    left = rest
    for (const group of groups) {
      const row = rows.get(group.svixId)
      if (row) for (const one of group.copies) kept.set(one, { group, row })
      else left = [...left, ...group.copies]
    }
    if (left.length === 0) break
  }
  onNumbered()
  if (left.length > 0) throw new Error('an id that this service created names another job')
  const receipts = await announceAll(work, deliveries, kept, options.now)
  await tx.commit(work.statements())
  return { receipts, effects: work.effects() }
}

async function announceAll(
  work: Work,
  deliveries: readonly Delivery[],
  kept: ReadonlyMap<Delivery, { readonly group: Group; readonly row: Kept }>,
  now: number,
): Promise<Receipt[]> {
  const made = new Map(
    [...kept.values()].flatMap(({ group, row }) =>
      row.jobSeq === null ? [] : [[group.jobId!, { seq: row.jobSeq, by: group.copies[0]! }] as const],
    ),
  )
  await work.load(
    deliveries.flatMap(({ content }) => (content.is === 'job' ? [content.jobId] : [])).filter((id) => !made.has(id)),
  )
  const later = new Map<number, boolean>()

  function announce(delivery: Delivery): Receipt {
    const { group, row } = kept.get(delivery)!
    const { content, endpoint } = delivery
    const isKnown = !row.isFresh || group.copies[0] !== delivery
    if (content.is !== 'job') return { duplicate: isKnown, requeued: false, job: null }
    const { jobId, status } = content
    const entry = work.find(jobId)
    const isLater = entry !== null && entry.job.firstDelivery !== null
    if (!isKnown && isLater === group.leads) later.set(row.seq, isLater)
    const arrival = {
      jobId,
      status,
      endpoint,
      number: row.seq,
      known: isKnown,
      decidesEndpoint: decidesEndpoint(entry),
    }
    const { receipt, ...changed } = afterDelivery(entry?.job ?? null, arrival, now)
    if (entry) work.put(entry, changed)
    else work.created(seqOf(jobId), changed.job)
    if (changed.job.endpoint !== endpoint) work.addEndpoint(jobId, endpoint)
    return receipt
  }

  function seqOf(jobId: string): number {
    const found = made.get(jobId)
    // The sender comes again.
    if (!found) throw new Error('the job of a delivery was deleted while the delivery was recorded')
    return found.seq
  }

  // A job's row names the delivery that made it: that one is the first, however they stand in the batch.
  const makers = new Set([...made.values()].map(({ by }) => by))
  const receipts = new Map(
    [...makers, ...deliveries.filter((one) => !makers.has(one))].map((one) => [one, announce(one)]),
  )
  if (later.size > 0) work.also(SET_LATER, [[...later.keys()], [...later.values()]])
  return deliveries.map((one) => receipts.get(one)!)
}

/** The first delivery of a job that was registered without an endpoint says which it has. */
export function decidesEndpoint(entry: Entry | null): boolean {
  return entry?.isEndpointUnsaid === true && entry.job.progress.state === 'expected'
}

async function record(
  tx: Transaction,
  groups: readonly Group[],
  { source, now }: { readonly source: number; readonly now: number },
): Promise<Map<string, Kept>> {
  const first = groups.map(({ copies }) => copies[0]!)
  const rows = await tx.query<{ svix_id: string; seq: number; is_fresh: boolean; job_seq: number | null }>(RECORD, [
    groups.map(({ svixId }) => svixId),
    first.map(({ endpoint }) => endpoint),
    first.map(({ content }) => content.is),
    groups.map(({ jobId }) => jobId),
    first.map(({ content }) => (content.is === 'job' ? content.status : null)),
    first.map(rejectionOf),
    first.map(({ receivedAt }) => Math.round(receivedAt)),
    groups.map(({ copies }) => Math.round(copies.at(-1)!.receivedAt)),
    groups.map(({ copies }) => copies.length),
    first.map(keptBody),
    groups.map(({ leads }) => leads),
    Math.round(now),
    source,
    Math.round(groups.at(-1)!.copies.at(-1)!.receivedAt),
  ])
  return new Map(
    rows.map((row) => [row.svix_id, { seq: row.seq, isFresh: row.is_fresh, jobSeq: row.job_seq }] as const),
  )
}

function ownId({ svixId }: Delivery): string {
  return svixId
}

/** The id of a message whose own one is taken: the rule is that of `identify`. */
function otherId(delivery: Delivery): string {
  return identify(delivery, (id) => (id === delivery.svixId ? { jobId: '\0' } : undefined)).svixId
}

/** `rest`: those whose id another group of the batch has. Only in the first round may a delivery lead. */
function grouped(deliveries: readonly Delivery[], idOf: (delivery: Delivery) => string, round: number) {
  const groups = new Map<string, Group>()
  const led = new Set<string>()
  const rest: Delivery[] = []
  for (const delivery of deliveries) {
    const svixId = idOf(delivery)
    const jobId = delivery.content.is === 'job' ? delivery.content.jobId : null
    const found = groups.get(svixId)
    if (found?.jobId === jobId) found.copies.push(delivery)
    else if (found && round === 0) rest.push(delivery)
    else if (found) throw new Error('an id that this service created names another job')
    else {
      groups.set(svixId, { svixId, jobId, copies: [delivery], leads: jobId !== null && !led.has(jobId) })
      if (jobId !== null) led.add(jobId)
    }
  }
  return { groups: [...groups.values()], rest }
}

/** A delivery whose texts can be stored. */
export function storableDelivery(delivery: Delivery): Delivery {
  const { content } = delivery
  return {
    ...delivery,
    svixId: storable(delivery.svixId),
    endpoint: storable(delivery.endpoint),
    content:
      content.is === 'job'
        ? { ...content, jobId: storable(content.jobId), status: storable(content.status) }
        : content.is === 'rejected'
          ? { ...content, reason: storable(content.reason) }
          : content,
  }
}
