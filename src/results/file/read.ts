import { constants } from 'node:fs'
import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { absent } from './errors.ts'

/** Neither follows a link at the path's end, nor waits for a writer of a pipe. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Opens the regular file `path` below `root`; null when there is none. Symbolic links below `root` are not followed:
 * this service creates none, so any that exist lead outside of its results.
 */
export async function openBelow(root: string, path: string): Promise<{ file: FileHandle; bytes: number } | null> {
  const file = await open(join(root, path), FLAGS).catch(noFile)
  if (file === null) return null
  try {
    const opened = await file.stat()
    const full = join(await realpath(root), path)
    const real = await realpath(full).catch(absent)
    const named = real === full ? await stat(full).catch(absent) : null
    // Checks that the opened file is the one at the path, not one reached through a linked folder on the way.
    const isIt = named !== null && named.ino === opened.ino && named.dev === opened.dev
    if (isIt && opened.isFile()) return { file, bytes: opened.size }
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  return null
}

/** A link, a socket or a device without a driver is not a file either. */
function noFile(error: NodeJS.ErrnoException): null {
  return error.code === 'ELOOP' || error.code === 'ENXIO' || error.code === 'ENAMETOOLONG' ? null : absent(error)
}
