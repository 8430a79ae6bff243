import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { tempFolder } from './temp.ts'

/** A small file system of the test's own; null where this user may not mount one. */
export function smallDisk(megabytes: number): string | null {
  const folder = join(tempFolder(), 'disk')
  mkdirSync(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return null
  }
  onTestFinished(() => void execFileSync('umount', ['-l', folder]))
  return folder
}

/** Writes until there is no room. */
export function fillUp(folder: string, leave = 0): string {
  const path = join(folder, 'filler')
  const file = openSync(path, 'w')
  const piece = Buffer.alloc(4096)
  try {
    while (statfsSync(folder).bavail * statfsSync(folder).bsize > leave) writeSync(file, piece)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
  return path
}

/** The small file system has so much room from now on. */
export function growDisk(folder: string, megabytes: number): void {
  execFileSync('mount', ['-o', `remount,size=${megabytes}m`, folder])
}
