import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Node's side of the model of a power cut; see power-loss.c. */

/** Compiles the shim into `folder`; null where there is no C compiler. */
export function compileShim(folder: string): string | null {
  const shim = join(folder, 'power-loss.so')
  try {
    execFileSync('cc', [
      '-shared',
      '-fPIC',
      '-O2',
      '-o',
      shim,
      resolve(import.meta.dirname, 'power-loss.c'),
      '-ldl',
      '-lpthread',
    ])
    return shim
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Takes everything below `root` as being on the disk: where a run begins. */
export function takeForSynced(root: string, shadow: string): void {
  const entries = readdirSync(root, { withFileTypes: true })
  const lines = entries.map((entry) => {
    const path = join(root, entry.name)
    const { ino } = statSync(path)
    if (entry.isDirectory()) takeForSynced(path, shadow)
    else copyFileSync(path, join(shadow, `file-${ino}`))
    return `${entry.isDirectory() ? 'd' : 'f'} ${ino} ${entry.name}\n`
  })
  writeFileSync(join(shadow, `dir-${statSync(root).ino}`), lines.join(''))
}

/** Lays out in `target` what was on the disk when the power went: `rootInode` is that of the root directory. */
export function afterPowerCut(shadow: string, rootInode: number, target: string): void {
  mkdirSync(target, { recursive: true })
  const listing = join(shadow, `dir-${rootInode}`)
  // A directory that was never synced has no names in it.
  if (!existsSync(listing)) return
  for (const line of readFileSync(listing, 'utf8').split('\n').filter(Boolean)) {
    const [, kind, inode, name] = /^(.) (\d+) (.*)$/.exec(line)!
    if (kind === 'd') afterPowerCut(shadow, Number(inode), join(target, name!))
    // The shared memory of the log is no file that a crash leaves; one that was never synced is empty.
    else if (!name!.endsWith('-shm')) {
      const bytes = join(shadow, `file-${inode}`)
      if (existsSync(bytes)) copyFileSync(bytes, join(target, name!))
      else writeFileSync(join(target, name!), '')
    }
  }
}
