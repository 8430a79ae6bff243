import { createHash } from 'node:crypto'
import { S3Unavailable } from './errors.ts'

/** How a body's integrity is told: Amazon's newer checksums, the old header that most stores know, or not at all. */
export type Integrity = 'crc32' | 'md5' | 'none'

/** What stores answer to an integrity header that they do not know, or to the lack of one. */
const REFUSALS =
  /^(NotImplemented|InvalidArgument|InvalidRequest|InvalidDigest|BadRequest|MissingContentMD5|XAmzContentSHA256Mismatch|UnknownError|400|501)$/

export type WithIntegrity = <T>(send: (integrity: Integrity) => Promise<T>) => Promise<T>

/**
 * Sends with the integrity that this store takes, which is found out by what it refuses. Amazon gets checksums; stores
 * behind an endpoint of their own often refuse these, but a bucket with Object Lock wants at least an MD5.
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

/** What a PutObject or UploadPart gets. */
export function integrityOf(
  integrity: Integrity,
  body: Uint8Array,
): { ChecksumAlgorithm?: 'CRC32'; ContentMD5?: string } {
  if (integrity === 'crc32') return { ChecksumAlgorithm: 'CRC32' }
  return integrity === 'md5' ? { ContentMD5: createHash('md5').update(body).digest('base64') } : {}
}
