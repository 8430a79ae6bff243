import type { JobState } from '../job.ts'
import type { Content, Delivery } from './inbox.ts'

/** Rules for keeping deliveries, shared by every store. Pure. */

/** Why a delivery was rejected, as it is kept; null when it was not. */
export function rejectionOf({ content }: Delivery): string | null {
  return content.is === 'rejected' ? content.reason : null
}

/** Bytes kept of a body that concerns no job: whoever has an endpoint's secret could fill the disk with others. */
const MAX_OTHER_BODY_BYTES = 4096

/** The part of a delivery's body that is kept. */
export function keptBody({ body, content }: Delivery): Buffer {
  const whole = Buffer.from(body)
  return content.is === 'job' ? whole : whole.subarray(0, MAX_OTHER_BODY_BYTES)
}

/**
 * The id under which a delivery is kept, and the earlier arrival of the same message, if there is one. An earlier
 * arrival that named another job, or none, was a different message with the same id: an endpoint's secret can sign any
 * id. Then this delivery gets an id of its own. `find` looks up an id.
 */
export function identify<Kept extends { readonly jobId: string | null }>(
  { svixId, endpoint, content }: Delivery,
  find: (svixId: string) => Kept | undefined,
): { readonly svixId: string; readonly earlier: Kept | null } {
  const jobId = content.is === 'job' ? content.jobId : null
  for (const id of [svixId, `${svixId}#${endpoint}#${jobId ?? ''}`]) {
    const found = find(id)
    if (!found) return { svixId: id, earlier: null }
    if (found.jobId === jobId) return { svixId: id, earlier: found }
  }
  throw new Error('an id that this service created names another job')
}

/**
 * Whether a delivery that last arrived before this time is past its retention. Deliveries of a job are deleted with it.
 */
export function isDeliveryPrunable(
  delivery: { readonly disposition: Content['is']; readonly receivedAt: number; readonly lastAt: number },
  before: number,
): boolean {
  return delivery.disposition !== 'job' && delivery.receivedAt < before && delivery.lastAt < before
}

/**
 * Whether the body of a delivery may be forgotten while its ids are kept: when nothing has happened since `before`, and
 * nothing is to be done with it. `job`: the one that it concerns; null when there is none.
 */
export function areBodiesPrunable(
  delivery: { readonly receivedAt: number; readonly lastAt: number },
  job: { readonly state: JobState; readonly updatedAt: number } | null,
  before: number,
): boolean {
  if (delivery.receivedAt >= before || delivery.lastAt >= before) return false
  return job === null || (job.state === 'done' && job.updatedAt < before)
}
