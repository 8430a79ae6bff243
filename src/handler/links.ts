import { createHmac, timingSafeEqual } from 'node:crypto'
import { isJobId } from '../job.ts'

/** Links to saved files that whoever has one may follow for a while. */
export type Links = {
  /**
   * The URL of a file of a result, good for `LIFETIME` from `now` (ms). Throws when it is not a job's id, or a path that
   * no saved file can have.
   */
  to(jobId: string, path: string, now: number): string
  /** Whether a link was made here and is still good. */
  isGood(link: SavedLink, now: number): boolean
}

/** As it stands in a URL, decoded. */
export type SavedLink = {
  readonly jobId: string
  readonly path: string
  readonly expires: string
  readonly signature: string
}

/** As long as S3 lets a link be good: 7 days, ms. */
export const LIFETIME = 7 * 86_400_000

/** Less could be guessed; a key of this length is as hard to guess as the signature. Bytes. */
const MIN_KEY = 32
/** Names of saved files are short: a number and a field's name, in at most three folders. */
const MAX_PATH = 512
const MAX_SEGMENTS = 8

/** HMAC-SHA256 in base64url. */
const SIGNATURE = /^[\w-]{43}$/
/** Seconds since 1970, in the one way to write them. */
const EXPIRES = /^[1-9]\d{0,11}$/

/**
 * Links signed with `key`: random, this service's own, and known to nobody else. Whoever receives forwards has secrets of
 * this service; from none of these may a link be made.
 */
export function createLinks(publicUrl: string, key: Buffer): Links {
  if (key.length < MIN_KEY) throw new Error(`the key of links must have at least ${MIN_KEY} bytes`)
  const base = publicUrl.replace(/\/+$/, '')

  function sign(jobId: string, path: string, expires: string): string {
    // A list in JSON: no two links read the same, whatever their parts hold.
    return createHmac('sha256', key)
      .update(JSON.stringify(['saved file', jobId, path, expires]))
      .digest('base64url')
  }

  return {
    to(jobId, path, now) {
      if (!isJobId(jobId) || !isSavedPath(path)) throw new Error('there is no link to what cannot be a saved file')
      const expires = String(Math.floor((now + LIFETIME) / 1000))
      const file = path.split('/').map(encodeURIComponent).join('/')
      return `${base}/results/${jobId}/${file}?expires=${expires}&signature=${sign(jobId, path, expires)}`
    },
    isGood({ jobId, path, expires, signature }, now) {
      if (!isJobId(jobId) || !isSavedPath(path)) return false
      if (!SIGNATURE.test(signature) || !EXPIRES.test(expires)) return false
      const until = Number(expires) * 1000
      if (until < now || until > now + LIFETIME) return false
      return timingSafeEqual(Buffer.from(signature), Buffer.from(sign(jobId, path, expires)))
    },
  }
}

/** Whether `path` can be that of a saved file: relative, and nothing in it that a file system or a URL reads its own way. */
export function isSavedPath(path: string): boolean {
  if (path.length > MAX_PATH) return false
  const segments = path.split('/')
  return segments.length <= MAX_SEGMENTS && segments.every((segment) => SEGMENT.test(segment))
}

/** What names of files and folders of results are made of; never a dot first. */
const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/
