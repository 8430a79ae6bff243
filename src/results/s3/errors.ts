import { S3ServiceException } from '@aws-sdk/client-s3'
import { causesOf } from '../../causes.ts'
import { ResultsUnavailable } from '../results.ts'

/** This process is out of descriptors: the condition passes and says nothing about the store. */
const BUSY: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE'])

/**
 * The scrubber removes parameters (`?name=value`) from every text before an operator reads it, so no hint is written in
 * that form.
 */
const HINTS: readonly (readonly [when: RegExp, hint: string])[] = [
  [/region is missing/i, 'name the region of the bucket in RESULTS_URL, as the parameter region'],
  [/\bkms:/i, 'a bucket encrypted with a KMS key needs kms:GenerateDataKey and kms:Decrypt on that key'],
]

/** What stores answer when a bucket is in another region, or behind another endpoint, than the request. */
const ELSEWHERE =
  /^(?:PermanentRedirect|TemporaryRedirect|Redirect|AuthorizationHeaderMalformed|IllegalLocationConstraint\w*|InvalidRegion\w*|InvalidLocationConstraint)$/
const REDIRECTS: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308])

/** Maximum characters of the store's own words, so that there is room for the advice. */
const MAX_WORDS_CHARS = 250

/** A call failed: the store's own code and words, and the call. */
export class S3Unavailable extends ResultsUnavailable {
  /** The code in the answer's body, for example `SlowDown`. */
  readonly code: string
  /** The HTTP status of the answer; undefined when there was none. */
  readonly status: number | undefined
  constructor(error: unknown, operation: string) {
    const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
    const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined
    const words = message.length > MAX_WORDS_CHARS ? `${message.slice(0, MAX_WORDS_CHARS)}…` : message
    const advice = adviceFor(error, name, message, status)
    const asked = status === undefined ? operation : `${operation}, HTTP ${status}`
    const isBusy = causesOf(error).some((cause) => BUSY.has((cause as NodeJS.ErrnoException | null)?.code))
    super(isBusy ? 'busy' : 'results', `S3: ${name}: ${words}${advice === null ? '' : `: ${advice}`} (${asked})`)
    this.name = 'S3Unavailable'
    this.code = name
    this.status = status
  }
  /** The object does not exist. */
  get isMissing(): boolean {
    return this.status === 404 && this.code !== 'NoSuchBucket'
  }
  /** The store refused the call for a reason other than overload: another form of the call may succeed. */
  get isRefusal(): boolean {
    const { status } = this
    if (status === undefined || this.code === 'NoSuchBucket') return false
    return status === 501 || (status >= 400 && status < 500 && ![404, 408, 412, 429].includes(status))
  }
}

function adviceFor(error: unknown, name: string, message: string, status: number | undefined): string | null {
  if (!ELSEWHERE.test(name) && !REDIRECTS.has(status)) return HINTS.find(([when]) => when.test(message))?.[1] ?? null
  const region = regionOf(error, message)
  const where = region === null ? 'in another region, or behind another endpoint' : `in the region ${region}`
  const value = region === null ? '' : ` (region=${region})`
  return `the bucket is ${where}: name it in RESULTS_URL, as the parameter region${value} or endpoint`
}

/** The region that a store says the bucket is in: in a header, in the body, or in a message. */
function regionOf(error: unknown, message: string): string | null {
  const { $response, Region } = (error ?? {}) as {
    readonly $response?: { readonly headers?: Readonly<Record<string, unknown>> }
    readonly Region?: unknown
  }
  const found = [$response?.headers?.['x-amz-bucket-region'], Region, /expecting '([^']*)'/.exec(message)?.[1]]
  return found.find((one): one is string => typeof one === 'string' && REGION.test(one)) ?? null
}

const REGION = /^[a-z0-9-]{1,40}$/
