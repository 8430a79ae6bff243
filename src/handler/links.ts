import { createHmac, timingSafeEqual } from 'node:crypto'

/** Links to saved files that whoever has one may follow for a while. */
export type Links = {
  /** The URL of a file of a result, good for `LIFETIME` from `now` (ms). */
  to(jobId: string, path: string, now: number): string
  /** Whether a link was made here and is still good. */
  isGood(link: { jobId: string; path: string; expires: string; signature: string }, now: number): boolean
}

/** As long as S3 lets a link be good: 7 days, ms. */
export const LIFETIME = 7 * 86_400_000

/** Signs with a key that is derived from the newest secret; while secrets are rotated, links of the older ones stay good. */
export function createLinks(publicUrl: string, secrets: readonly string[]): Links {
  const keys = secrets.map((secret) => createHmac('sha256', secret).update('links to saved results').digest())

  function signatureOf(key: Buffer, jobId: string, path: string, expires: string): Buffer {
    return createHmac('sha256', key).update(`${jobId}\n${path}\n${expires}`).digest()
  }

  return {
    to(jobId, path, now) {
      const expires = String(Math.floor((now + LIFETIME) / 1000))
      const signature = signatureOf(keys[0]!, jobId, path, expires).toString('base64url')
      const file = path.split('/').map(encodeURIComponent).join('/')
      return `${publicUrl}/results/${jobId}/${file}?expires=${expires}&signature=${signature}`
    },
    isGood({ jobId, path, expires, signature }, now) {
      if (!/^\d{1,12}$/.test(expires) || Number(expires) * 1000 < now) return false
      const given = Buffer.from(signature, 'base64url')
      return keys.some((key) => {
        const right = signatureOf(key, jobId, path, expires)
        return given.length === right.length && timingSafeEqual(given, right)
      })
    },
  }
}
