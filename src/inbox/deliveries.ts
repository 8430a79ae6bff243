import type { Content, Delivery } from './inbox.ts'

/** What is kept of deliveries, for every store. Pure. */

/** Why a delivery was rejected, as it is kept; null when it was not. */
export function rejectionOf({ content }: Delivery): string | null {
  return content.is === 'rejected' ? content.reason : null
}

/** Bytes kept of a body that concerns no job: whoever has an endpoint's secret could fill the disk with others. */
const MAX_OTHER_BODY_BYTES = 4096

/** What is kept of a delivery's body. */
export function keptBody({ body, content }: Delivery): Buffer {
  const whole = Buffer.from(body)
  return content.is === 'job' ? whole : whole.subarray(0, MAX_OTHER_BODY_BYTES)
}

/**
 * Under which id a delivery is kept, and the earlier arrival of the same message, if there is one. An earlier one that named
 * another job, or none, was another message with its id, of an endpoint whose secret makes any id possible: then this one
 * is kept under an id of its own. `find` looks an id up.
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
  throw new Error('an id of our own making names another job')
}

/** Whether retention ends for a delivery that last arrived before this time. Those of a job are deleted with it. */
export function isDeliveryPrunable(
  delivery: { readonly disposition: Content['is']; readonly receivedAt: number; readonly lastAt: number },
  before: number,
): boolean {
  return delivery.disposition !== 'job' && delivery.receivedAt < before && delivery.lastAt < before
}
