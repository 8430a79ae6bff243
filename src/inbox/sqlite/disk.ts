import { readFileSync, statfsSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { formatBytes } from '../../units.ts'
import { DatabaseRefused } from '../inbox.ts'

/**
 * `f_type` (Linux, statfs(2)) of file systems that several machines or hosts share. SQLite's write-ahead log needs
 * shared memory between all its users, and reliable POSIX locks: on these file systems one of the two is missing or
 * unreliable.
 */
const SHARED: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x01021997, '9p'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x564c, 'NCP'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x61636673, 'ACFS'],
  [0x19830326, 'BeeGFS'],
  [0xaad7aaea, 'PanFS'],
  [0x20030528, 'OrangeFS'],
  [0xbeefdead, 'StorNext'],
  [0x013111a8, 'IBRIX'],
  [0xbacbacbc, 'a VMware shared folder'],
  [0x786f4256, 'a VirtualBox shared folder'],
  [0x7c7c6673, 'a Parallels shared folder'],
])
/** A container's own layer, which is deleted with the container. */
const LAYERS: ReadonlyMap<number, string> = new Map([
  [0x794c7630, 'overlayfs'],
  [0x61756673, 'aufs'],
])
/** Lost when the machine or container stops. */
const MEMORY: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
])
/** All of FUSE, including virtiofs; only the table of mounts shows which one it is. */
const FUSE = 0x65735546
/** FUSE file systems on a network or an object store. */
const SHARED_FUSE =
  /sshfs|s3|gcs|blob|goofys|rclone|gluster|ceph|juicefs|seaweed|mfs|lizard|nfs|smb|cifs|hdfs|dav|curlftp|gdrive|drive|afs|beegfs|alluxio/i
/** FUSE as the layer of a container that an ordinary user runs. */
const LAYER_FUSE = /overlay/i

/** Queries about a disk. */
export type DiskProbe = {
  /** `f_type` of the file system as an unsigned 32-bit number, as it is defined. */
  type(directory: string): number
  /** Its name in the table of mounts (`fuse.sshfs`, `virtiofs`); null when unknown. */
  name(directory: string): string | null
}

/** Refuses a database on a disk that several machines share. Returns a warning, or null. */
export function checkDisk(path: string, probe: DiskProbe = systemDisk): string | null {
  const directory = dirname(path)
  const type = probe.type(directory)
  if (type === FUSE) return checkFuse(path, probe.name(directory))
  const shared = SHARED.get(type)
  if (shared) throw refused(path, shared)
  if (LAYERS.has(type)) return layer(path)
  const memory = MEMORY.get(type)
  return memory ? `${path} is on ${memory}, in memory, and is lost with it: set DATABASE_URL to a file on a disk` : null
}

function checkFuse(path: string, name: string | null): string | null {
  const kind = name ?? 'FUSE'
  if (LAYER_FUSE.test(kind)) return layer(path)
  if (SHARED_FUSE.test(kind)) throw refused(path, kind)
  return `${path} is on ${kind}: its locks and syncs depend on the driver, and no other program may open the file, not even on the host. A local disk is safe (in a container, a volume instead of a shared folder)`
}

function layer(path: string): string {
  return `${path} is in the container's own layer and is lost with the container: mount a volume there`
}

function refused(path: string, kind: string): DatabaseRefused {
  return new DatabaseRefused(
    `${path} is on ${kind}: SQLite needs a local disk, because its locks and shared memory do not work there (set DATABASE_URL)`,
  )
}

/** Queries of this machine. */
export const systemDisk: DiskProbe = {
  type: (directory) => statfsSync(directory).type >>> 0,
  name(directory) {
    try {
      return mountedAs(readFileSync('/proc/self/mountinfo', 'utf8'), deviceOf(directory))
    } catch {
      return null
    }
  },
}

/** `major:minor`, as in the table of mounts. */
function deviceOf(directory: string): string {
  const { dev } = statSync(directory, { bigint: true })
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn)
  return `${major}:${minor}`
}

/** The type of the file system mounted from a device, according to the table of mounts (proc_pid_mountinfo(5)). */
export function mountedAs(table: string, device: string): string | null {
  for (const line of table.split('\n')) {
    const [mount = '', source = ''] = line.split(' - ')
    if (mount.split(' ')[2] === device) return source.split(' ')[0] || null
  }
  return null
}

/** The message when fewer than `minFree` bytes are free on the disk of `path`; null while there are enough. */
export async function freeRoom(path: string, minFree: number): Promise<string | null> {
  const { bavail, bsize } = await statfs(dirname(path))
  const free = bavail * bsize
  if (free >= minFree) return null
  return `${formatBytes(free)} free on the disk of ${path}, less than MIN_FREE_DISK (${formatBytes(minFree)}): make room`
}
