import { constants } from 'node:fs'
import { chmod, copyFile, link, lstat, mkdir, readdir, rename, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fsyncPath } from '../../fsync.ts'
import { withSignal } from '../abort.ts'
import { FILES, isDraftName, RECORD, recordText } from '../record.ts'
import { type Draft, ResultsUnavailable } from '../results.ts'
import { absent, guarded } from './errors.ts'
import { writeDurably } from './write.ts'

export type FileDraftDeps = {
  readonly jobId: string
  /** This draft's own folder. It is made once: writing into a removed folder fails. */
  readonly folder: string
  readonly signal: AbortSignal
  /** Makes the folder durably. */
  makeDraftFolder(folder: string): Promise<void>
  /** The folder of a saved result to start from; null: start empty. */
  readonly saved: string | null
  checkRoom(): Promise<void>
  /**
   * Moves the folder into the place of the job's result; false when a saved result exists that must not be replaced.
   */
  install(folder: string, replace: boolean): Promise<boolean>
  /** Removes the folder; nobody can see it half removed. */
  dispose(folder: string): Promise<unknown>
}

/** A draft discarded while the service stops is removed within this time, ms, or by the next start. */
const DISCARD_GRACE_MS = 500
/** Files that are checked in parallel before a commit. */
const MAX_PARALLEL = 16

/**
 * A result in the making, in its own folder. Creating it may throw the file system's errors; its methods throw
 * ResultsUnavailable.
 */
export async function createFileDraft(deps: FileDraftDeps): Promise<Draft> {
  const { jobId, folder, signal } = deps
  /** The draft's files and their sizes. */
  const has = new Map<string, number>()
  /** Names that are in use by a file or a running write. */
  const taken = new Set<string>()
  let asides = 0
  let writing = 0
  let filesFolder: Promise<unknown> | null = null
  let installed = false

  try {
    await deps.makeDraftFolder(folder)
    if (deps.saved !== null) await begin(deps.saved)
  } catch (error) {
    await deps.dispose(folder).catch(() => {})
    throw error
  }

  /** Adds the saved files as hard links where the file system supports them. */
  async function begin(saved: string): Promise<void> {
    const names = (await readdir(join(saved, 'files')).catch(absent)) ?? []
    if (names.length > 0) await makeFilesFolder()
    const top = (await readdir(saved)).filter((name) => name !== FILES)
    for (const name of [...top, ...names.map((one) => `files/${one}`)].filter(isDraftName)) {
      signal.throwIfAborted()
      const from = join(saved, name)
      const info = await lstat(from)
      if (!info.isFile()) continue
      await linkOrCopy(from, join(folder, name))
      // Earlier versions made results readable by everybody.
      if ((info.mode & 0o077) !== 0) await chmod(join(folder, name), 0o600)
      has.set(name, info.size)
      taken.add(name)
    }
  }

  /** Made only once, like the draft's folder: neither may come back empty after somebody has removed it. */
  function makeFilesFolder(): Promise<unknown> {
    filesFolder ??= guarded(() => mkdir(join(folder, 'files'), { mode: 0o700 }))
    return filesFolder
  }

  async function write(name: string, source: AsyncIterable<Uint8Array>, own: AbortSignal) {
    if (name.startsWith('files/')) await makeFilesFolder()
    const options = { signal: own, checkRoom: deps.checkRoom }
    const path = join(folder, name)
    const isNew = !taken.has(name)
    taken.add(name)
    // An existing file, perhaps a saved result's, stays until the new one is complete. No other file name here has a
    // tilde.
    const target = isNew ? path : `${path}~${++asides}`
    const digest = await writeDurably(target, source, options).catch((error) => {
      if (isNew) taken.delete(name)
      throw error
    })
    if (!isNew) await guarded(() => rename(target, path)).catch(giveUp(target))
    has.set(name, digest.bytes)
    return { path: name, ...digest }
  }

  /** Another process or a person may have removed files: then this must not become a result. */
  async function verify(): Promise<void> {
    const names = [...has.keys()]
    const lane = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        const info = await lstat(join(folder, name)).catch(absent)
        if (info?.size === has.get(name)) continue
        throw new ResultsUnavailable(
          'results',
          `${name} of the draft of ${jobId} was removed or changed before it was saved`,
        )
      }
    }
    await Promise.all(Array.from({ length: MAX_PARALLEL }, lane))
  }

  return {
    async write(name, source) {
      if (!isDraftName(name)) throw new Error(`a draft cannot have a file named ${JSON.stringify(name)}`)
      writing++
      return await withSignal(signal, (own) => write(name, source, own)).finally(() => writing--)
    },
    async commit(record, { replace }) {
      if (record.job_id !== jobId) throw new Error('a record of another job')
      if (writing > 0) throw new Error('a draft is committed when all its files are written')
      return await withSignal(signal, (own) =>
        guarded(async () => {
          // Left by an earlier try.
          await unlink(join(folder, RECORD)).catch(absent)
          await writeDurably(join(folder, RECORD), text(recordText(record)), { signal: own })
          await verify()
          for (const path of await foldersOf(folder)) await fsyncPath(path)
          own.throwIfAborted()
          installed = await deps.install(folder, replace)
          return installed
        }),
      )
    },
    async discard() {
      if (installed) return
      const disposed = deps.dispose(folder).catch(() => {})
      const grace = { ms: DISCARD_GRACE_MS, error: () => new Error('left to the next start') }
      if (signal.aborted) await withSignal(undefined, () => disposed, grace).catch(() => {})
      else await withSignal(signal, () => disposed).catch(() => {})
    },
  }
}

/** Removes a file that cannot be renamed to its name. */
function giveUp(path: string): (error: unknown) => Promise<never> {
  return async (error) => {
    await rm(path, { force: true }).catch(() => {})
    throw error
  }
}

async function* text(whole: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(whole)
}

/** Copies the file where the file system supports no hard link, or no more of them. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    await chmod(to, 0o600)
    await fsyncPath(to)
  }
}

/** The folder and its subfolders, deepest first. */
async function foldersOf(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) found.push(...(await foldersOf(join(folder, entry.name))))
  return [...found, folder]
}
