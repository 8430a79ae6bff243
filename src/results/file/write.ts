import { createHash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { untilAborted } from '../abort.ts'
import type { Digest } from '../results.ts'
import { guarded } from './errors.ts'

/** Free space is checked again after this many bytes of a file. */
const ROOM_CHECK_BYTES = 16 * 1024 * 1024
/**
 * A large file is synced in steps of this many bytes: syncing a gigabyte at its end delays the inbox's own syncs, and
 * with them acknowledgements, by a tenth of a second or more.
 */
const SYNC_STEP_BYTES = 1024 * 1024

/**
 * Writes a new file, readable by the service's user only, and syncs it; a file that fails is removed. `checkRoom` is
 * called as the file grows. Errors of `source` are passed on unchanged.
 */
export async function writeDurably(
  path: string,
  source: AsyncIterable<Uint8Array>,
  { signal, checkRoom }: { readonly signal: AbortSignal; readonly checkRoom?: () => Promise<void> },
): Promise<Digest> {
  // Never overwrites a file: it may be a saved result's, under a second name.
  const file = await guarded(() => open(path, 'wx', 0o600))
  try {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of untilAborted(source, signal)) {
      hash.update(chunk)
      const before = bytes
      bytes += chunk.byteLength
      const passes = (step: number) => Math.floor(before / step) < Math.floor(bytes / step)
      if (checkRoom && passes(ROOM_CHECK_BYTES)) await checkRoom()
      await guarded(() => writeAll(file, chunk))
      if (passes(SYNC_STEP_BYTES)) await guarded(() => file.datasync())
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

/** `write` may write only a part when the disk becomes full. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, offset)
    offset += bytesWritten
  }
}
