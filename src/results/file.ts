import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { makeFolder, sync } from '../durable.ts'
import { stringifyExact } from '../exact-json.ts'
import { formatBytes } from '../units.ts'
import { type JobRecord, parseRecord, RECORD } from './record.ts'
import { type Digest, type Draft, type Expiry, type OpenFile, type Results, ResultsUnavailable } from './results.ts'

/** Drafts, and results on their way out, live here. No job id begins with a dot. */
const DRAFTS = '.tmp'
/** After so many bytes of a file it is looked whether there is room for more. */
const LOOK_EVERY = 16 * 1024 * 1024
/**
 * A large file is synced in steps: a gigabyte that is synced at its end holds up the inbox's own syncs, and with them
 * acknowledgements, for a tenth of a second and more.
 */
const SYNC_EVERY = 1024 * 1024
/** Bytes that are read at once. */
const PIECE = 64 * 1024
/** What a replaced result is called until the new one is durable. */
const REPLACED = '.replaced'

/**
 * Results as folders of a local file system. A draft is synced file by file, then renamed into place, then the parent is
 * synced: after a power cut at any moment there is a whole result or none.
 */
export function createFileResults(options: { root: string; minFree: number }): Results {
  const root = resolve(options.root)
  const drafts = join(root, DRAFTS)
  const folderOf = (jobId: string) => join(root, jobId)

  async function tidy(): Promise<void> {
    await guarded(async () => {
      await makeFolder(drafts)
      for (const name of await readdir(drafts)) {
        const path = join(drafts, name)
        const jobId = name.endsWith(REPLACED) ? name.slice(0, -REPLACED.length) : null
        // The process died between moving the old result away and the new one in.
        if (jobId !== null && !existsSync(folderOf(jobId))) await rename(path, folderOf(jobId))
        else await rm(path, { recursive: true, force: true })
      }
      await sync(root)
    })
  }

  async function record(jobId: string): Promise<JobRecord | null> {
    const text = await guarded(() => readFile(join(folderOf(jobId), RECORD), 'utf8').catch(absent))
    return text === null ? null : parseRecord(text)
  }

  async function openFile(jobId: string, path: string): Promise<OpenFile | null> {
    const folder = folderOf(jobId)
    const full = resolve(folder, path)
    if (!full.startsWith(folder + sep)) return null
    const handle = await open(full).catch(absent)
    if (handle === null) return null
    const { size } = await handle.stat()
    return { body: handle.createReadStream(), bytes: size }
  }

  async function draft(jobId: string, token: number): Promise<Draft> {
    const folder = join(drafts, `${jobId}.${token}`)
    await guarded(async () => {
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
    })
    return {
      base: '',
      write: (path, source) => writeFile(join(folder, path), source, checkRoom),
      read: (path) => readPieces(join(folder, path)),
      commit: (job, { replace }) => guarded(() => commit(folder, job, replace)),
      discard: () => rm(folder, { recursive: true, force: true }).catch(() => {}),
    }
  }

  async function commit(folder: string, job: JobRecord, replace: boolean): Promise<boolean> {
    const target = folderOf(job.job_id)
    await writeFile(join(folder, RECORD), [Buffer.from(`${stringifyExact(job, 2)}\n`)])
    for (const path of await folders(folder)) await sync(path)
    const replaced = join(drafts, `${job.job_id}${REPLACED}`)
    if ((await record(job.job_id)) !== null) {
      if (!replace) {
        await rm(folder, { recursive: true, force: true })
        return false
      }
      await rm(replaced, { recursive: true, force: true })
      await rename(target, replaced)
    } else await rm(target, { recursive: true, force: true })
    await rename(folder, target)
    await sync(root)
    // Debris is no reason to call a result unsaved that is: the next start clears it away.
    await rm(replaced, { recursive: true, force: true }).catch(() => {})
    return true
  }

  async function remove(jobId: string): Promise<void> {
    // A replacement that broke off would bring the old one back.
    await rm(join(drafts, `${jobId}${REPLACED}`), { recursive: true, force: true })
    // Moved away first: a result that is half removed must not look like one.
    const away = join(drafts, `${jobId}.removed`)
    const found = await rename(folderOf(jobId), away).then(() => true, absent)
    if (!found) return
    await sync(root)
    await rm(away, { recursive: true, force: true })
  }

  async function expire({ before, keep, signal }: Expiry): Promise<number> {
    let removed = 0
    for (const jobId of await readdir(root)) {
      if (signal?.aborted) break
      if (jobId.startsWith('.')) continue
      const saved = await stat(join(folderOf(jobId), RECORD)).catch(absent)
      if (saved === null || saved.mtimeMs >= before || (await keep?.(jobId))) continue
      await remove(jobId)
      removed++
    }
    return removed
  }

  async function check(): Promise<void> {
    await guarded(async () => {
      await makeFolder(drafts)
      await checkRoom()
      const probe = join(drafts, '.probe')
      await writeFile(probe, [Buffer.from('a result could be saved here\n')])
      await rm(probe)
    })
  }

  async function checkRoom(): Promise<void> {
    const disk = await statfs(drafts)
    const free = disk.bavail * disk.bsize
    if (free >= options.minFree) return
    const message = `${formatBytes(free)} free in ${root}, less than MIN_FREE_DISK (${formatBytes(options.minFree)}): make room`
    throw new ResultsUnavailable('disk', message)
  }

  return { tidy, record, open: openFile, link: async () => null, draft, remove, expire, check }
}

/** Writes and syncs a file; what was written of one that fails is removed. `checkRoom` is asked as it grows. */
async function writeFile(
  path: string,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  checkRoom?: () => Promise<void>,
): Promise<Digest> {
  const file = await guarded(async () => {
    await mkdir(dirname(path), { recursive: true })
    return open(path, 'w')
  })
  try {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of source) {
      hash.update(chunk)
      const before = bytes
      bytes += chunk.byteLength
      const passes = (step: number) => Math.floor(before / step) < Math.floor(bytes / step)
      if (checkRoom && passes(LOOK_EVERY)) await guarded(checkRoom)
      await guarded(() => writeAll(file, chunk))
      if (passes(SYNC_EVERY)) await guarded(() => file.datasync())
    }
    await guarded(() => file.sync())
    return { bytes, sha256: hash.digest('hex') }
  } catch (error) {
    await rm(path, { force: true }).catch(() => {})
    throw error
  } finally {
    await file.close()
  }
}

/** `write` may take a part only, when the disk runs full. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, offset)
    offset += bytesWritten
  }
}

/** The folder and those below it, the deepest first. */
async function folders(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) found.push(...(await folders(join(folder, entry.name))))
  return [...found, folder]
}

const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

/** Reads a file in pieces, each of which is good until the next is asked for: one buffer serves them all. */
async function* readPieces(path: string): AsyncIterable<Uint8Array> {
  const file = await open(path)
  try {
    const buffer = Buffer.allocUnsafeSlow(PIECE)
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, PIECE)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

/** Turns the file system's errors into ResultsUnavailable. */
async function guarded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (error instanceof ResultsUnavailable || code === undefined) throw error
    throw new ResultsUnavailable(NO_ROOM.has(code) ? 'disk' : 'results', message)
  }
}

function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
  throw error
}
