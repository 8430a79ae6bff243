import { createHmac, timingSafeEqual } from 'node:crypto'
import { isJobId } from '../job.ts'

/** Links to saved files that give anybody access for a limited time. */
export type Links = {
  /**
   * The URL of a file of a result, valid for `LINK_LIFETIME_MS` from `now` (ms). Throws when `jobId` is not a job's id, or
   * no saved file can have the path.
   */
  to(jobId: string, path: string, now: number): string
  /** Whether a link was made here and has not expired. */
  isGood(link: SavedLink, now: number): boolean
}

/** A link as in the URL, decoded. */
export type SavedLink = {
  readonly jobId: string
  readonly path: string
  readonly expires: string
  readonly signature: string
}

/** 7 days, ms: the maximum of S3's links. */
export const LINK_LIFETIME_MS = 7 * 86_400_000

/** Minimum key length, bytes: a shorter key could be guessed; this one is as hard to guess as the signature. */
const MIN_KEY_BYTES = 32
/**
 * Maximum characters of a path. Names of saved files are short: a number and a field's name, in at most three folders.
 */
const MAX_PATH_CHARS = 512
const MAX_SEGMENTS = 8

/** HMAC-SHA256 in base64url. */
const SIGNATURE = /^[\w-]{43}$/
/** Seconds since 1970, in their only valid form. */
const EXPIRES = /^[1-9]\d{0,11}$/

/**
 * Creates links signed with `key`: random, this service's own, and secret. Receivers of forwards know other secrets of
 * this service; no link can be made with those.
 */
export function createLinks(publicUrl: string, key: Buffer): Links {
  if (key.length < MIN_KEY_BYTES) throw new Error(`the key of links must have at least ${MIN_KEY_BYTES} bytes`)
  const base = publicUrl.replace(/\/+$/, '')

  function sign(jobId: string, path: string, expires: string): string {
    // A JSON list: no two different links have the same text.
    return createHmac('sha256', key)
      .update(JSON.stringify(['saved file', jobId, path, expires]))
      .digest('base64url')
  }

  return {
    to(jobId, path, now) {
      if (!isJobId(jobId) || !isSavedPath(path)) throw new Error('this cannot be a saved file: it has no link')
      const expires = String(Math.floor((now + LINK_LIFETIME_MS) / 1000))
      const file = path.split('/').map(encodeURIComponent).join('/')
      return `${base}/results/${jobId}/${file}?expires=${expires}&signature=${sign(jobId, path, expires)}`
    },
    isGood({ jobId, path, expires, signature }, now) {
      if (!isJobId(jobId) || !isSavedPath(path)) return false
      if (!SIGNATURE.test(signature) || !EXPIRES.test(expires)) return false
      const until = Number(expires) * 1000
      if (until < now || until > now + LINK_LIFETIME_MS) return false
      return timingSafeEqual(Buffer.from(signature), Buffer.from(sign(jobId, path, expires)))
    },
  }
}

/** Whether `path` can be that of a saved file: relative, and without parts that a file system or a URL interprets. */
export function isSavedPath(path: string): boolean {
  if (path.length > MAX_PATH_CHARS) return false
  const segments = path.split('/')
  return segments.length <= MAX_SEGMENTS && segments.every((segment) => SEGMENT.test(segment))
}

/** The characters of file and folder names in results; never a leading dot. */
const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/
