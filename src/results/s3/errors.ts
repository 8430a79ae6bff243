import { S3ServiceException } from '@aws-sdk/client-s3'
import { causesOf } from '../../causes.ts'
import { ResultsUnavailable } from '../results.ts'

/** This process is out of descriptors: it passes, and says nothing of the store. */
const BUSY: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE'])

const HINTS: readonly (readonly [when: RegExp, hint: string])[] = [
  [/region is missing/i, ': add ?region=… to RESULTS_URL'],
  [/\bkms:/i, ': a bucket encrypted with a KMS key needs kms:GenerateDataKey and kms:Decrypt on that key'],
]

/** A call failed: the store's own code and words, and what it was asked. */
export class S3Unavailable extends ResultsUnavailable {
  /** The code in the answer's body, `SlowDown`. */
  readonly code: string
  /** Of the answer; undefined when there was none. */
  readonly status: number | undefined
  constructor(error: unknown, operation: string) {
    const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
    const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined
    const hint = HINTS.find(([when]) => when.test(message))?.[1] ?? ''
    const asked = status === undefined ? operation : `${operation}, HTTP ${status}`
    const isBusy = causesOf(error).some((cause) => BUSY.has((cause as NodeJS.ErrnoException | null)?.code))
    super(isBusy ? 'busy' : 'results', `S3: ${name}: ${message}${hint} (${asked})`)
    this.code = name
    this.status = status
  }
  /** There is no such object. */
  get isMissing(): boolean {
    return this.status === 404 && this.code !== 'NoSuchBucket'
  }
  /** The store answered, and not that it is overloaded: asking in another way may help. */
  get isRefusal(): boolean {
    const { status } = this
    if (status === undefined || this.code === 'NoSuchBucket') return false
    return status === 501 || (status >= 400 && status < 500 && ![404, 408, 412, 429].includes(status))
  }
}
