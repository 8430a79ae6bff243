import type { Ledger } from '../inbox/inbox.ts'
import { isJobId } from '../job.ts'
import { stringifyLossless } from '../lossless-json.ts'
import { type Refusal, refuse } from './refusal.ts'

/** Metadata of a registration, as JSON: half of what Svix delivers at most, with room for the rest. Bytes. */
export const MAX_METADATA_BYTES = 512 * 1024
/** How deep it may be nested: one less than a delivery's body, which it stands in. */
export const MAX_METADATA_DEPTH = 63
/** As in the paths of endpoints: `/webhook/NAME`. */
const ENDPOINT = /^[a-z0-9]{1,64}$/

/** `endpoints`: the names of those that there are, where they are known. */
export type ExpectDeps = {
  readonly ledger: Pick<Ledger, 'expect'>
  readonly endpoints?: Iterable<string>
}

/** What may be said of a job that is registered. */
export type ExpectedJob = { readonly metadata?: unknown; readonly endpoint?: string | undefined }

/** `known`: a delivery named the job before, and nothing was changed. */
export type ExpectResult = { readonly is: 'expected' | 'known'; readonly jobId: string }

/**
 * Registers a job that was submitted: if its webhook never comes, it is looked after all the same. `by`: who registers
 * it, for people. Never moves a known job back. Resolves when it is durable.
 */
export async function expectJob(
  { ledger, endpoints }: ExpectDeps,
  jobId: unknown,
  { metadata, endpoint }: ExpectedJob,
  by: string,
): Promise<ExpectResult | Refusal> {
  if (!isJobId(jobId)) return refuse('invalid', 'a job id has 1 to 128 characters of A-Z a-z 0-9 _ -')
  const problem = expectProblem({ metadata, endpoint }, endpoints)
  if (problem !== null) return refuse('invalid', problem)
  const is = await ledger.expect(jobId, { metadata, by, ...(endpoint === undefined ? {} : { endpoint }) })
  return { is, jobId }
}

/** Why nothing could be registered with this; null when it could. */
export function expectProblem({ metadata, endpoint }: ExpectedJob, endpoints?: Iterable<string>): string | null {
  return endpointProblem(endpoint, endpoints) ?? metadataProblem(metadata)
}

function endpointProblem(endpoint: unknown, endpoints: Iterable<string> | undefined): string | null {
  if (endpoint === undefined) return null
  if (typeof endpoint !== 'string' || !ENDPOINT.test(endpoint))
    return 'endpoint: has 1 to 64 characters of a-z 0-9, as in /webhook/NAME; default is /webhook'
  if (endpoints === undefined) return null
  const names = [...endpoints]
  return names.includes(endpoint) ? null : `endpoint: there is none of this name; there are ${names.join(', ')}`
}

function metadataProblem(metadata: unknown): string | null {
  if (metadata === undefined) return null
  if (isTooDeep(metadata, MAX_METADATA_DEPTH)) return `metadata: is nested deeper than ${MAX_METADATA_DEPTH}`
  try {
    const text: string | undefined = stringifyLossless(metadata)
    if (text === undefined) return 'metadata: must be JSON'
    return Buffer.byteLength(text) > MAX_METADATA_BYTES ? `metadata: is larger than ${MAX_METADATA_BYTES} bytes` : null
  } catch {
    return 'metadata: must be JSON'
  }
}

/** Also ends for an object that contains itself. */
function isTooDeep(value: unknown, left: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return left === 0 || Object.values(value).some((item) => isTooDeep(item, left - 1))
}
