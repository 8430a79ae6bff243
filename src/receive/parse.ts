import { z } from 'zod'
import type { Content } from '../inbox/inbox.ts'
import { isJobId } from '../job.ts'
import type { VerifiedDelivery } from './verify.ts'

/** A body nested deeper than this is no Reducto job update, and what reads it later must not have to cope. */
const DEEPEST = 64

const jobUpdate = z.object({
  job_id: z.string('job_id must be a string').refine(isJobId, 'job_id must be 1 to 128 characters of A-Z a-z 0-9 _ -'),
  status: z
    .string('status must be a string')
    .min(1, 'status must not be empty')
    .max(64, 'status must be at most 64 characters'),
})

/** Tells what a verified body is. Unknown fields are fine; the body is kept as it came. */
export function parse(delivery: VerifiedDelivery): Content {
  if (nestedTooDeep(delivery.body)) return { is: 'rejected', reason: `nested deeper than ${DEEPEST}` }
  let payload: unknown
  try {
    payload = JSON.parse(delivery.body)
  } catch {
    return { is: 'rejected', reason: 'not JSON' }
  }
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload))
    return { is: 'rejected', reason: 'not a JSON object' }
  if (!Object.hasOwn(payload, 'job_id')) return { is: 'ignored' }
  const update = jobUpdate.safeParse(payload)
  if (!update.success) return { is: 'rejected', reason: update.error.issues.map((issue) => issue.message).join('; ') }
  return { is: 'job', jobId: update.data.job_id, status: update.data.status }
}

/** Counted over the text, so that nothing is built of it first. Brackets within strings do not count. */
function nestedTooDeep(text: string): boolean {
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (inString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) inString = false
    } else if (code === QUOTE) inString = true
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > DEEPEST) return true
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
  }
  return false
}

const [QUOTE, BACKSLASH, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d]
