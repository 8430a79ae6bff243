import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Error codes of file systems that cannot sync a folder. EIO is never one of them: it means that bytes are lost. */
const CANNOT_SYNC_FOLDERS: ReadonlySet<string | undefined> = new Set([
  'EINVAL',
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EBADF',
])

/**
 * Syncs a file or folder to the disk. A new or renamed file also needs its folder synced. Does nothing for a folder on
 * a file system that cannot sync folders.
 */
export async function fsyncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync().catch(async (error: NodeJS.ErrnoException) => {
      const excused = CANNOT_SYNC_FOLDERS.has(error.code) && (await handle.stat()).isDirectory()
      if (!excused) throw error
    })
  } finally {
    await handle.close()
  }
}

/**
 * Makes a folder, and missing ones above it, durably: their names survive a power cut. Only the service's user has
 * access.
 */
export async function mkdirDurably(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await fsyncPath(dirname(made))
}
