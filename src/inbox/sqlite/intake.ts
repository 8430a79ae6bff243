import { identify, keptBody, rejectionOf } from '../deliveries.ts'
import type { Content, Delivery, Receipt } from '../inbox.ts'
import { afterDelivery, afterReread, type JobContent } from '../transitions.ts'
import type { Jobs } from './jobs.ts'
import type { Statements } from './statements.ts'
import type { Tally } from './tally.ts'

/** A delivery that is read again. */
type KeptDelivery = {
  readonly seq: number
  readonly endpoint: string
  readonly disposition: Content['is']
  readonly body: Uint8Array | null
}

/** Records deliveries, and what they announce to their jobs. */
export function createIntake(sql: Statements, tally: Tally, jobs: Pick<Jobs, 'find' | 'insert' | 'put' | 'link'>) {
  function accept(delivery: Delivery, now: number): Receipt {
    const { endpoint, content, receivedAt } = delivery
    tally.verified(endpoint, receivedAt)
    const { svixId, earlier } = identify(
      delivery,
      (id) => sql.delivery.get(id) as { seq: number; jobId: string | null } | undefined,
    )
    if (earlier) sql.countRepeat.run({ at: receivedAt, seq: earlier.seq })
    if (content.is !== 'job') {
      if (!earlier) insertDelivery(delivery, svixId, false)
      return { duplicate: earlier !== null, requeued: false, job: null }
    }
    const numberOf = (isLater: boolean) => earlier?.seq ?? insertDelivery(delivery, svixId, isLater)
    return announce(content, endpoint, { known: earlier !== null, numberOf }, now)
  }

  /** A delivery names its job. `numberOf` gives its number, once it stands as a later one of the job or as the first. */
  function announce(
    { jobId, status }: JobContent,
    endpoint: string,
    { known, numberOf }: { readonly known: boolean; readonly numberOf: (isLater: boolean) => number },
    now: number,
  ): Receipt {
    const found = jobs.find(jobId)
    const number = numberOf(found !== null && found.job.firstDelivery !== null)
    const arrival = { jobId, status, endpoint, number, known, decidesEndpoint: isUnsaid(found) }
    const { receipt, ...changed } = afterDelivery(found?.job ?? null, arrival, now)
    if (found) jobs.put(found, changed)
    else jobs.insert(changed.job)
    if (changed.job.endpoint !== endpoint) sql.addEndpoint.run({ jobId, endpoint })
    return receipt
  }

  /** Whether the job is expected, and nobody said at which endpoint. */
  function isUnsaid(found: ReturnType<Jobs['find']>): boolean {
    if (found?.job.progress.state !== 'expected') return false
    return (sql.registration.get(found.seq) as { endpoint: string | null } | undefined)?.endpoint === null
  }

  function reread(svixId: string, content: Content, now: number, action?: number): 'job' | 'unchanged' | 'unknown' {
    const row = sql.keptDelivery.get(svixId) as KeptDelivery | undefined
    if (!row) return 'unknown'
    const { seq, endpoint, disposition } = row
    const taken = afterReread(row, content)
    if (!taken) return 'unchanged'
    const { jobId, status } = taken
    function numberOf(isLater: boolean): number {
      sql.attachDelivery.run({ seq, jobId, status, isLater: isLater ? 1 : 0 })
      return seq
    }
    announce(taken, endpoint, { known: false, numberOf }, now)
    jobs.link(jobs.find(jobId)!.seq, action)
    tally.count(`delivery:${disposition}`, -1)
    tally.count('delivery:job', 1)
    return 'job'
  }

  function insertDelivery(delivery: Delivery, svixId: string, isLater: boolean): number {
    const { endpoint, content, receivedAt } = delivery
    const { lastInsertRowid } = sql.insertDelivery.run({
      svixId,
      endpoint,
      disposition: content.is,
      jobId: content.is === 'job' ? content.jobId : null,
      status: content.is === 'job' ? content.status : null,
      isLater: isLater ? 1 : 0,
      rejection: rejectionOf(delivery),
      at: receivedAt,
    })
    sql.insertBody.run({ seq: lastInsertRowid, body: keptBody(delivery) })
    tally.count(`delivery:${content.is}`, 1)
    return Number(lastInsertRowid)
  }

  return { accept, reread }
}
