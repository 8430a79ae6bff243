import { S3Client } from '@aws-sdk/client-s3'
import { withSignal } from '../abort.ts'
import { S3Unavailable } from './errors.ts'
import { ensureHome } from './home.ts'

export type S3Options = {
  readonly bucket: string
  /** Without leading or trailing slashes; empty for none. */
  readonly prefix: string
  /** Null: the region that the AWS SDK finds. */
  readonly region: string | null
  /** The endpoint of a store other than Amazon's. */
  readonly endpoint: string | null
}

/** Maximum time until the answer of one request begins, and maximum idle time of a body, ms. */
const REQUEST_TIMEOUT_MS = 60_000
const CONNECT_TIMEOUT_MS = 10_000
/** Maximum time of one call with all of the SDK's retries, ms; after it the store counts as unavailable. */
const CALL_TIMEOUT_MS = 150_000
/** Maximum connections. A slowly read body holds one, and must not block all other calls. */
const MAX_SOCKETS = 256

/**
 * Makes one call: `send` receives the signal to pass on. Ends with `signal` and after CALL_TIMEOUT_MS.
 * @throws S3Unavailable
 */
export type Call = <T>(
  operation: string,
  signal: AbortSignal | undefined,
  send: (options: { readonly abortSignal: AbortSignal }) => Promise<T>,
) => Promise<T>

export function createClient({ region, endpoint }: S3Options): S3Client {
  ensureHome()
  return new S3Client({
    ...(region ? { region } : endpoint ? { region: 'us-east-1' } : {}),
    // Other stores do not support bucket names in host names. Amazon's answers name the region of a bucket.
    ...(endpoint ? { endpoint, forcePathStyle: true } : { followRegionRedirects: true }),
    // Checksums are requested per call, since only some stores support them.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      socketTimeout: REQUEST_TIMEOUT_MS,
      httpAgent: { maxSockets: MAX_SOCKETS },
      httpsAgent: { maxSockets: MAX_SOCKETS },
    },
  })
}

/** `onTrouble` is called for every failure that may mean that the store no longer works. */
export function createCall(onTrouble: () => void): Call {
  return async (operation, signal, send) => {
    try {
      return await withSignal(signal, (own) => send({ abortSignal: own }), {
        ms: CALL_TIMEOUT_MS,
        error: () => Object.assign(new Error(`no answer within ${CALL_TIMEOUT_MS} ms`), { name: 'TimeoutError' }),
      })
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      const failure = new S3Unavailable(error, operation)
      if (failure.status !== 404 && failure.status !== 412) onTrouble()
      throw failure
    }
  }
}
