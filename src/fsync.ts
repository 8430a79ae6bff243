import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** File systems that cannot sync a folder say so with these. EIO is never among them: it means that bytes are lost. */
const CANNOT_SYNC_FOLDERS: ReadonlySet<string | undefined> = new Set([
  'EINVAL',
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EBADF',
])

/**
 * Puts a file or folder on the disk. A new or renamed file also needs its folder synced. On a file system that cannot
 * sync folders, syncing one does nothing.
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

/** Makes a folder whose name survives a power cut, and those above it that are missing, for the service's user alone. */
export async function mkdirDurably(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await fsyncPath(dirname(made))
}
