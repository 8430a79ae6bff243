import { statfsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { formatBytes } from '../../units.ts'
import { DatabaseRefused } from './schema.ts'

/** `f_type` of file systems that reach over a network (Linux, statfs(2)): SQLite's WAL needs shared memory there. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x01021997, '9p'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
])
/** A container's own layer: gone with the container. */
const OVERLAYFS = 0x794c7630

/** Refuses a database on a network file system; returns what to warn about, or null. */
export function checkDisk(path: string, typeOf = fileSystemType): string | null {
  const type = typeOf(dirname(path))
  const network = NETWORK.get(type)
  if (network) throw new DatabaseRefused(`${path} is on ${network}: SQLite needs a local disk (set DATABASE_URL)`)
  if (type !== OVERLAYFS) return null
  return `${path} is in the container's own layer and is lost with the container: mount a volume there`
}

/** In 32 bits without a sign, as it is defined. */
function fileSystemType(directory: string): number {
  return statfsSync(directory).type >>> 0
}

/** What to say when less than `minFree` bytes are free on the disk of `path`; null while there is enough. */
export async function freeRoom(path: string, minFree: number): Promise<string | null> {
  const { bavail, bsize } = await statfs(dirname(path))
  const free = bavail * bsize
  if (free >= minFree) return null
  return `${formatBytes(free)} free on the disk of ${path}, less than MIN_FREE_DISK (${formatBytes(minFree)}): make room`
}
