import { createHash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { untilAborted } from '../abort.ts'
import type { Digest } from '../results.ts'
import { guarded } from './errors.ts'

/** After so many bytes of a file it is looked whether there is room for more. */
const ROOM_CHECK_BYTES = 16 * 1024 * 1024
/**
 * A large file is synced in steps: a gigabyte that is synced at its end holds up the inbox's own syncs, and with them
 * acknowledgements, for a tenth of a second and more.
 */
const SYNC_STEP_BYTES = 1024 * 1024

/**
 * Writes a new file, readable by the service's user alone, and syncs it; a file that fails is removed. `checkRoom` is
 * asked as it grows. Errors of `source` are passed on as they are.
 */
export async function writeDurably(
  path: string,
  source: AsyncIterable<Uint8Array>,
  { signal, checkRoom }: { readonly signal: AbortSignal; readonly checkRoom?: () => Promise<void> },
): Promise<Digest> {
  // Never over a file that is there: it may be a saved result's, under a second name.
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

/** `write` may take a part only, when the disk runs full. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, offset)
    offset += bytesWritten
  }
}
