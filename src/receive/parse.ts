import { z } from 'zod'
import type { Content } from '../inbox/inbox.ts'
import { isJobId } from '../job.ts'
import { isTooDeep, MAX_DEPTH, updateIn, withoutByteOrderMark } from './payload.ts'
import type { VerifiedDelivery } from './verify.ts'

const jobUpdate = z.object({
  job_id: z.string('job_id must be a string').refine(isJobId, 'job_id must be 1 to 128 characters of A-Z a-z 0-9 _ -'),
  status: z
    .string('status must be a string')
    .min(1, 'status must not be empty')
    .max(64, 'status must be at most 64 characters'),
})

/** Classifies a verified body. Unknown fields are allowed; the body is kept unchanged. */
export function parse(delivery: VerifiedDelivery): Content {
  return contentOf(delivery.body)
}

/** The same for the text of a delivery that was verified when it was recorded. */
export function contentOf(body: string): Content {
  const text = withoutByteOrderMark(body)
  if (isTooDeep(text)) return { is: 'rejected', reason: `nested deeper than ${MAX_DEPTH}` }
  let payload: unknown
  try {
    payload = JSON.parse(text)
  } catch {
    return { is: 'rejected', reason: 'not JSON' }
  }
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload))
    return { is: 'rejected', reason: 'not a JSON object' }
  const found = updateIn(payload)
  if (found === null) return { is: 'ignored' }
  const update = jobUpdate.safeParse(found)
  if (!update.success) return { is: 'rejected', reason: update.error.issues.map((issue) => issue.message).join('; ') }
  return { is: 'job', jobId: update.data.job_id, status: update.data.status }
}
