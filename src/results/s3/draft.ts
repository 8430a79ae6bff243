import { randomBytes } from 'node:crypto'
import { addAbortSignal, type Readable } from 'node:stream'
import { withSignal } from '../abort.ts'
import { linesOf } from '../lines.ts'
import {
  type FileEntry,
  isDraftName,
  isResultPath,
  type JobRecord,
  type NewRecord,
  RECORD,
  recordText,
} from '../record.ts'
import { type Draft, ResultsUnavailable } from '../results.ts'
import type { Bucket, Listed } from './bucket.ts'
import { S3Unavailable } from './errors.ts'

/** Another service's objects are removed when nothing has been added to them for this long, ms. */
const FOREIGN_DEBRIS_AFTER_MS = 24 * 3_600_000
/** A draft discarded while the service stops is removed within this time, ms, or when its job is saved. */
const DISCARD_GRACE_MS = 500
/** The removal continues in the background for at most this long, ms. */
const DISCARD_TIMEOUT_MS = 10_000
/** A put that conflicts with another commit at the same moment is tried this many times. */
const MAX_CONFLICTS = 3

/** What the drafts of a store share. */
export type S3DraftDeps = {
  readonly bucket: Bucket
  /** 16 hex digits that identify the owner of drafts. */
  readonly owner: string
  keyOf(jobId: string, path: string): string
  /** `exists` without a record: there is an object that is not a valid record. */
  find(jobId: string, signal: AbortSignal): Promise<{ exists: boolean; record: JobRecord | null }>
  /** All objects of a job by their paths. */
  listJob(jobId: string, signal: AbortSignal): Promise<ReadonlyMap<string, Listed>>
  /** Whether the store supports conditional writes, as far as is known. */
  conditional: boolean
}

/** A result in the making, under its own keys. */
export async function createS3Draft(
  deps: S3DraftDeps,
  at: { readonly jobId: string; readonly token: number; readonly signal: AbortSignal; readonly fromSaved: boolean },
): Promise<Draft> {
  const { bucket, owner, keyOf } = deps
  const { jobId, token, signal } = at
  // A restored database starts counting again: the token alone could name an older draft.
  const base = `${token}-${owner}${randomBytes(8).toString('hex')}/`
  /** The files of the result and their sizes: this draft's, and kept ones of the saved result. */
  const has = at.fromSaved ? await savedFiles() : new Map<string, number>()
  let hasWritten = false
  /** The record was sent. It may be stored, now or later, whatever the store answered; then it names these files. */
  let sent = false

  async function savedFiles(): Promise<Map<string, number>> {
    const { record } = await deps.find(jobId, signal)
    const list = record && (await bucket.get(keyOf(jobId, record.files.path), signal))
    if (!record || !list) throw new ResultsUnavailable('results', `there is no saved result of ${jobId} to start from`)
    const found = new Map([[record.job.path, record.job.bytes]])
    for await (const { path, bytes } of savedEntries(addAbortSignal(signal, list.body))) found.set(path, bytes)
    return found
  }

  /** Others may have removed objects: then this must not become a result. */
  async function verify(there: ReadonlyMap<string, Listed>, own: AbortSignal): Promise<void> {
    for (const [path, bytes] of has) {
      // Not every store lists an object at once after its put.
      const found = there.get(path) ?? (await bucket.head(keyOf(jobId, path), own))
      if (found?.bytes === bytes) continue
      throw new ResultsUnavailable('results', `S3: ${path} of ${jobId} was removed or changed before it was saved`)
    }
  }

  async function commit(record: NewRecord, replace: boolean, own: AbortSignal): Promise<boolean> {
    const before = await deps.find(jobId, own)
    if (before.record && !replace) {
      await clear(own)
      return false
    }
    const there = await deps.listJob(jobId, own)
    await verify(there, own)
    sent = true
    const saved = await putRecord(record, before.exists || replace, own)
    // Left-over objects do not make a saved result unsaved.
    const obsolete = saved ? obsoleteOf(there, before.record) : []
    if (saved) await bucket.deleteAll(obsolete, own).catch(() => {})
    else await clear(own).catch(() => {})
    return saved
  }

  /** Of two commits at once one wins; the store ensures this where it supports conditions. */
  async function putRecord(record: NewRecord, overwrite: boolean, own: AbortSignal): Promise<boolean> {
    const key = keyOf(jobId, RECORD)
    const body = Buffer.from(recordText(record))
    const put = (ifAbsent: boolean) => bucket.put(key, body, { signal: own, ifAbsent, type: 'application/json' })
    for (let conflicts = 0; ; ) {
      const ifAbsent = !overwrite && deps.conditional
      try {
        await put(ifAbsent)
        return true
      } catch (error) {
        if (!(ifAbsent && error instanceof S3Unavailable)) throw error
        // The existing record may be our own, from a first try whose answer was lost.
        if (error.status === 412) return isOurs((await deps.find(jobId, own)).record)
        if (error.status === 409 && ++conflicts < MAX_CONFLICTS) continue
        if (error.status !== 501 && error.code !== 'NotImplemented') throw error
        deps.conditional = false
      }
    }
  }

  function isOurs(record: JobRecord | null): boolean {
    return record !== null && [record.job.path, record.files.path].some((path) => path.startsWith(base))
  }

  /**
   * Objects that the new record does not name and nobody works on: the old result, and those that dead processes left.
   */
  function obsoleteOf(there: ReadonlyMap<string, Listed>, before: JobRecord | null): string[] {
    const replaced = new Set([before?.job.path, before?.files.path].map((path) => path && folderOf(path)))
    const changed = new Map<string, number>()
    for (const [path, { savedAt }] of there)
      changed.set(folderOf(path), Math.max(changed.get(folderOf(path)) ?? 0, savedAt))
    const isDead = (folder: string) => {
      const [, its, whose] = /^(\d+)-([0-9a-f]{16})[0-9a-f]{16}$/.exec(folder) ?? []
      // Our own draft with another claim: that claim was lost, since this one holds.
      if (whose === owner) return Number(its) <= token
      return replaced.has(folder) || Date.now() - changed.get(folder)! > FOREIGN_DEBRIS_AFTER_MS
    }
    const paths = [...there.keys()].filter((path) => path !== RECORD && !has.has(path) && isDead(folderOf(path)))
    return paths.map((path) => keyOf(jobId, path))
  }

  async function clear(own: AbortSignal): Promise<void> {
    for await (const objects of bucket.list(keyOf(jobId, base), own))
      await bucket.deleteAll(
        objects.map(({ key }) => key),
        own,
      )
  }

  return {
    async write(name, source) {
      if (!isDraftName(name)) throw new Error(`a draft cannot have a file named ${JSON.stringify(name)}`)
      hasWritten = true
      const path = `${base}${name}`
      const digest = await withSignal(signal, (own) => bucket.upload.write(keyOf(jobId, path), source, own))
      for (const earlier of has.keys()) if (nameOf(earlier) === name) has.delete(earlier)
      has.set(path, digest.bytes)
      return { path, ...digest }
    },
    async commit(record, { replace }) {
      if (record.job_id !== jobId) throw new Error('a record of another job')
      return await withSignal(signal, (own) => commit(record, replace, own))
    },
    async discard() {
      if (sent || !hasWritten) return
      const cleared = withSignal(undefined, clear, timeLimit(DISCARD_TIMEOUT_MS)).catch(() => {})
      if (signal.aborted) await withSignal(undefined, () => cleared, timeLimit(DISCARD_GRACE_MS)).catch(() => {})
      else await withSignal(signal, () => cleared).catch(() => {})
    },
  }
}

function timeLimit(ms: number) {
  return { ms, error: () => new Error('left to the next save of the job') }
}

function folderOf(path: string): string {
  return path.split('/', 1)[0]!
}

function nameOf(path: string): string {
  return path.slice(folderOf(path).length + 1)
}

/** The files that a `files.jsonl` names. */
async function* savedEntries(body: Readable): AsyncIterable<{ path: string; bytes: number }> {
  try {
    for await (const line of linesOf(body)) {
      const entry = JSON.parse(line) as FileEntry
      if ('path' in entry && isResultPath(entry.path)) yield entry
    }
  } catch (error) {
    throw new S3Unavailable(error, 'reading files.jsonl')
  } finally {
    body.destroy()
  }
}
