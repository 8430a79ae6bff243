import { S3Client } from '@aws-sdk/client-s3'
import { withSignal } from '../abort.ts'
import { S3Unavailable } from './errors.ts'
import { ensureHome } from './home.ts'

export type S3Options = {
  readonly bucket: string
  /** Without slashes at its ends; empty for none. */
  readonly prefix: string
  /** Null: the one that the AWS SDK finds. */
  readonly region: string | null
  /** Of a store that is not Amazon's. */
  readonly endpoint: string | null
}

/** Until the answer of one request begins, and of a body that stalls, ms. */
const REQUEST_TIMEOUT_MS = 60_000
const CONNECT_TIMEOUT_MS = 10_000
/** One call with all of the SDK's tries, ms: after that the store counts as not there. */
const CALL_TIMEOUT_MS = 150_000
/** Connections at once. Bodies that are read slowly hold one each, and must not keep all others out. */
const MAX_SOCKETS = 256

/**
 * Makes one call: `send` gets the signal to pass on. Ends with `signal` and after CALL_TIMEOUT_MS.
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
    // Other stores know no bucket names in host names. Amazon's tell which region a bucket is in.
    ...(endpoint ? { endpoint, forcePathStyle: true } : { followRegionRedirects: true }),
    // Checksums are asked for call by call, since only some stores know them.
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

/** `onTrouble` hears of every failure that may mean that the store works no more. */
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
