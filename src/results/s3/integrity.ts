import { createHash } from 'node:crypto'
import { S3Unavailable } from './errors.ts'

/**
 * How a body's integrity is declared: Amazon's newer checksums, the old header that most stores support, or not at all.
 */
export type Integrity = 'crc32' | 'md5' | 'none'

/** What stores answer to an unsupported integrity header, or to a missing one. */
const REFUSALS =
  /^(NotImplemented|InvalidArgument|InvalidRequest|InvalidDigest|BadRequest|MissingContentMD5|XAmzContentSHA256Mismatch|UnknownError|400|501)$/

export type WithIntegrity = <T>(send: (integrity: Integrity) => Promise<T>) => Promise<T>

/**
 * Sends with an integrity header that this store accepts, which is learned from its refusals. Amazon gets checksums.
 * Stores behind another endpoint often refuse these, but a bucket with Object Lock requires at least an MD5.
 */
export function createWithIntegrity(isAmazon: boolean): WithIntegrity {
  let order: readonly Integrity[] = isAmazon ? ['crc32', 'md5', 'none'] : ['md5', 'none', 'crc32']
  return async (send) => {
    let first: unknown
    for (const integrity of order) {
      try {
        const result = await send(integrity)
        order = [integrity, ...order.filter((one) => one !== integrity)]
        return result
      } catch (error) {
        first ??= error
        if (!(error instanceof S3Unavailable && error.isRefusal && REFUSALS.test(error.code))) throw error
      }
    }
    throw first
  }
}

/** The integrity parameters of a PutObject or UploadPart. */
export function integrityOf(
  integrity: Integrity,
  body: Uint8Array,
): { ChecksumAlgorithm?: 'CRC32'; ContentMD5?: string } {
  if (integrity === 'crc32') return { ChecksumAlgorithm: 'CRC32' }
  return integrity === 'md5' ? { ContentMD5: createHash('md5').update(body).digest('base64') } : {}
}
