import { existsSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { formatBytes } from '../units.ts'
import type { Check } from './context.ts'
import { findingOf, type Item, ok, problem, warning } from './finding.ts'

/** With less than this many times MIN_FREE_DISK left, it is time to look. */
const LOW_FACTOR = 4
/** The part of the inodes below which a disk counts as full of files. */
const MIN_FREE_INODES = 0.01

/** The room that is left where the service writes. */
export const disk: Check = {
  name: 'disk',
  group: 'here',
  async run({ settings }) {
    const minFree = settings.get('minFreeDisk')
    const inbox = settings.get('database')
    // A server looks after its own disk.
    const places = new Set(inbox.kind === 'sqlite' ? [dirname(resolve(inbox.path))] : [])
    const results = settings.get('results')
    if (results.kind === 'file') places.add(resolve(results.path))
    // Two folders of one disk share its room.
    const disks = new Map([...places].map((place) => [statSync(nearestFolder(place)).dev, place]))
    return findingOf(await Promise.all([...disks.values()].map((place) => roomAt(place, minFree))))
  },
}

async function roomAt(place: string, minFree: number): Promise<Item> {
  const folder = nearestFolder(place)
  const { bavail, bsize, files, ffree } = await statfs(folder)
  const free = bavail * bsize
  const found = `${formatBytes(free)} free at ${place}`
  const inodes = files > 0 && ffree < files * MIN_FREE_INODES
  if (free === 0 || free < minFree)
    return problem(
      free < minFree ? `${found}: less than MIN_FREE_DISK (${formatBytes(minFree)})` : found,
      'make room; the worker waits for it',
    )
  if (inodes) return problem(`${found}, but only ${ffree} files more can be made there`, 'delete files, or enlarge it')
  if (free < minFree * LOW_FACTOR) return warning(found, `make room before MIN_FREE_DISK (${formatBytes(minFree)})`)
  return ok(found)
}

/** A folder that does not exist yet is made on the disk of the one above. */
function nearestFolder(path: string): string {
  let folder = path
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder)
  return folder
}
