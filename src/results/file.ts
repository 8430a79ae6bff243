import { randomBytes } from 'node:crypto'
import { access, constants, lstat, mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { addAbortSignal } from 'node:stream'
import { fsyncPath, mkdirDurably } from '../fsync.ts'
import { isJobId } from '../job.ts'
import { formatBytes } from '../units.ts'
import { countUntil, withSignal } from './abort.ts'
import { createFileDraft } from './file/draft.ts'
import { createDrafts } from './file/drafts.ts'
import { absent, guarded } from './file/errors.ts'
import { openBelow } from './file/read.ts'
import { writeDurably } from './file/write.ts'
import { isResultPath, type JobRecord, MAX_RECORD_BYTES, parseRecord, RECORD } from './record.ts'
import { type DraftOptions, type Expiry, type OpenFile, type Results, ResultsUnavailable } from './results.ts'

/** Drafts, and results that are being removed, are stored here. No job id begins with a dot. */
const DRAFTS = '.tmp'

export type FileResultsOptions = {
  readonly root: string
  readonly minFree: number
  /** 16 hex digits that identify the owner of drafts; the same for all processes that share an inbox. */
  readonly owner?: string
  readonly onWarning?: (message: string) => void
}

/**
 * Results as folders of a local file system, readable by the service's user only. A draft is synced file by file, then
 * renamed into place, then the parent is synced: after a power cut at any moment there is a complete result or none.
 * Several services may share a folder.
 */
export function createFileResults({ minFree, ...options }: FileResultsOptions): Results {
  const root = resolve(options.root)
  const owner = options.owner ?? randomBytes(8).toString('hex')
  const draftsFolder = join(root, DRAFTS)
  const isSaved = async (jobId: string) => (await readRecord(jobId)) !== null
  const drafts = createDrafts({ folder: draftsFolder, root, owner, isSaved, orSkip })
  let warned = false

  async function readRecord(jobId: string): Promise<JobRecord | null> {
    const found = await openBelow(root, join(jobId, RECORD))
    if (found === null) return null
    try {
      return found.bytes > MAX_RECORD_BYTES ? null : parseRecord(await found.file.readFile('utf8'), jobId)
    } finally {
      await found.file.close()
    }
  }

  async function open(jobId: string, path: string, signal?: AbortSignal): Promise<OpenFile | null> {
    if (!isJobId(jobId) || !isResultPath(path)) return null
    return await withSignal(signal, async (own) => {
      const found = await guarded(() => openBelow(root, join(jobId, path)))
      if (found === null) return null
      if (own.aborted) {
        await found.file.close()
        throw own.reason
      }
      const body = found.file.createReadStream()
      return { body: signal ? addAbortSignal(signal, body) : body, bytes: found.bytes }
    })
  }

  async function draft(jobId: string, token: number, { signal, from }: DraftOptions) {
    checkJobId(jobId)
    return await withSignal(signal, (own) =>
      guarded(async () => {
        if (from === 'saved' && !(await isSaved(jobId)))
          throw new ResultsUnavailable('results', `there is no saved result of ${jobId} to start from`)
        const made = await createFileDraft({
          jobId,
          folder: drafts.pathFor('draft', jobId, token),
          signal,
          makeDraftFolder,
          saved: from === 'saved' ? join(root, jobId) : null,
          checkRoom,
          install: (folder, replace) => drafts.install(folder, jobId, replace),
          dispose: (folder) => drafts.dispose(folder, jobId),
        })
        if (own.aborted) await made.discard()
        return made
      }),
    )
  }

  /** Made only once: if it were made again after somebody removed it, half a draft could become a result. */
  async function makeDraftFolder(folder: string): Promise<void> {
    const make = () => mkdir(folder, { mode: 0o700 })
    if ((await make().then(() => true, absent)) === true) return
    await mkdirDurably(draftsFolder)
    await make()
  }

  async function remove(jobId: string): Promise<void> {
    await drafts.removeAllOf(jobId)
    await drafts.dispose(join(root, jobId), jobId)
  }

  async function expire({ before, keep }: Expiry, own: AbortSignal, count: () => void): Promise<void> {
    for (const jobId of (await readdir(root).catch(absent)) ?? []) {
      own.throwIfAborted()
      const folder = join(root, jobId)
      if (!isJobId(jobId) || !(await orSkip(folder, () => isExpired(jobId, before)))) continue
      if (await keep?.(jobId)) continue
      if (await orSkip(folder, () => drafts.dispose(folder, jobId))) count()
    }
  }

  /** Only a result of this service: a folder in which another program keeps a file of that name is not touched. */
  async function isExpired(jobId: string, before: number): Promise<boolean> {
    const saved = await lstat(join(root, jobId, RECORD)).catch(absent)
    return saved !== null && saved.mtimeMs < before && (await isSaved(jobId))
  }

  /** An entry that cannot be read or removed does not stop the rest. It is reported once. */
  async function orSkip(path: string, step: () => Promise<boolean>): Promise<boolean> {
    try {
      return await guarded(step)
    } catch (error) {
      if (!(error instanceof ResultsUnavailable) || error.trouble === 'busy') throw error
      if (!warned) options.onWarning?.(`${path} cannot be read or removed, and is skipped: ${error.message}`)
      warned = true
      return false
    }
  }

  async function check(own: AbortSignal): Promise<void> {
    await mkdirDurably(draftsFolder)
    await checkRoom()
    await access(root, constants.W_OK | constants.X_OK)
    // A unique name, so that concurrent checks do not collide.
    const probe = join(draftsFolder, `.probe-${randomBytes(8).toString('hex')}`)
    await writeDurably(probe, probeText(), { signal: own })
    await rm(probe, { force: true })
    await fsyncPath(root)
  }

  async function checkRoom(): Promise<void> {
    const disk = await guarded(() => statfs(draftsFolder))
    const free = disk.bavail * disk.bsize
    if (free >= minFree) return
    const message = `${formatBytes(free)} free in ${root}, less than MIN_FREE_DISK (${formatBytes(minFree)}): make room`
    throw new ResultsUnavailable('disk', message)
  }

  return {
    removeAbandonedDrafts: (isAbandoned, signal) =>
      withSignal(signal, (own) => guarded(() => drafts.removeAbandoned(isAbandoned, own))),
    record: (jobId, signal) =>
      withSignal(signal, async () => (isJobId(jobId) ? await guarded(() => readRecord(jobId)) : null)),
    open,
    link: async () => null,
    draft,
    async remove(jobId, signal) {
      checkJobId(jobId)
      await withSignal(signal, () => guarded(() => remove(jobId)))
    },
    expire: (expiry) => countUntil(expiry.signal, (own, count) => guarded(() => expire(expiry, own, count))),
    check: (signal) => withSignal(signal, (own) => guarded(() => check(own))),
  }
}

async function* probeText(): AsyncIterable<Uint8Array> {
  yield Buffer.from('a result could be saved here\n')
}

/** Writers must have checked the id already. */
function checkJobId(jobId: string): void {
  if (!isJobId(jobId)) throw new Error('not a job id')
}
