import { causesOf } from '../causes.ts'
import { codeOf } from '../error-text.ts'
import { isJobId } from '../job.ts'
import type { Client } from './client.ts'
import { ReductoError, readError } from './errors.ts'

/** What Reducto can be asked to do with a document so that a webhook tells the end. */
export type SubmitKind = 'parse' | 'extract' | 'split' | 'edit' | 'pipeline'

/**
 * What became of a submission. `refused`: Reducto made no job. `lost`: it may have made one, and the answer did not arrive,
 * or was none; it must not be submitted again without a look.
 */
export type Submitted =
  | { readonly is: 'submitted'; readonly jobId: string }
  | { readonly is: 'refused' | 'lost'; readonly error: ReductoError }

export type SubmitOptions = {
  readonly channels: readonly string[]
  readonly metadata: unknown
  /** The other members of the call, as the SDK takes them. */
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * The body of a call for one document, whose end a Svix webhook tells. Its webhook settings are in `async`; edit has them
 * in `webhook`, and its document has another name.
 */
export function submissionOf(kind: SubmitKind, input: string, { channels, metadata, options }: SubmitOptions) {
  const given = objectOf(kind === 'edit' ? options.webhook : options.async)
  const told = metadata === undefined ? {} : { metadata }
  const to = channels.length === 0 ? {} : { channels }
  if (kind === 'edit')
    return { ...options, document_url: input, webhook: { ...svixSettings(given), ...to, ...told, mode: 'svix' } }
  const webhook = { ...svixSettings(objectOf(given.webhook)), ...to, mode: 'svix' }
  return { ...options, input, async: { ...given, ...told, webhook } }
}

/** The address of a direct webhook means nothing to Svix. */
function svixSettings({ url: _, ...others }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return others
}

/** The metadata of such a body; undefined when it has none. */
export function metadataIn(body: Readonly<Record<string, unknown>>): unknown {
  return objectOf(body.async).metadata ?? objectOf(body.webhook).metadata ?? undefined
}

/** Submits a document once, whatever happens. */
export async function submitJob(
  client: Client,
  kind: SubmitKind,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Submitted> {
  try {
    // Each kind's options are the user's: Reducto says what is wrong with them.
    const resource = client.sdk[kind] as unknown as { runJob(body: object, options: object): Promise<unknown> }
    const answer = await client.call(signal, async (callSignal) => resource.runJob(body, { signal: callSignal }))
    const jobId: unknown = (answer as { job_id?: unknown } | null)?.job_id
    return isJobId(jobId)
      ? { is: 'submitted', jobId }
      : { is: 'lost', error: new ReductoError('unreadable', 'the answer names no job') }
  } catch (error) {
    const read = readError(error, Date.now())
    const { status } = read
    const isRefused = status === null ? wasNeverSent(error) : status >= 300 && status < 500 && status !== 408
    return { is: isRefused ? 'refused' : 'lost', error: read }
  }
}

/** How a connection fails before a request can have been sent. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
])

function wasNeverSent(error: unknown): boolean {
  return causesOf(error).some((cause) => NEVER_SENT.has(codeOf(cause) ?? ''))
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Readonly<Record<string, unknown>>) : {}
}
