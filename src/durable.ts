import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Puts a file or folder on the disk. A new or renamed file also needs its folder synced. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes a folder whose name survives a power cut, and those above it that are missing. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  for (let made = path; made.length >= first.length; made = dirname(made)) await sync(dirname(made))
}
