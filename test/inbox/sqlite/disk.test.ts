import { describe, expect, it } from 'vitest'
import { DatabaseRefused } from '../../../src/inbox/inbox.ts'
import { checkDisk, type DiskProbe, mountedAs, systemDisk } from '../../../src/inbox/sqlite/disk.ts'
import { tempFolder } from '../../support/temp.ts'

const FUSE = 0x65735546
const on = (type: number, name: string | null = null): DiskProbe => ({ type: () => type, name: () => name })
const check = (probe?: DiskProbe) => checkDisk('/data/inbox.db', probe)

describe('the disk of a database', () => {
  it.each([
    ['NFS', 0x6969],
    ['CIFS', 0xff534d42],
    ['SMB2', 0xfe534d42],
    ['9p', 0x01021997],
    ['Ceph', 0x00c36400],
    ['AFS', 0x5346414f],
    ['Lustre', 0x0bd00bd0],
    ['GPFS', 0x47504653],
    ['GFS2', 0x01161970],
    ['OCFS2', 0x7461636f],
    ['BeeGFS', 0x19830326],
    ['a VirtualBox shared folder', 0x786f4256],
  ])('is refused on %s, by name', (name, type) => {
    expect(() => check(on(type))).toThrow(DatabaseRefused)
    expect(() => check(on(type))).toThrow(`/data/inbox.db is on ${name}: SQLite needs a local disk`)
  })

  it.each([
    'fuse.sshfs',
    'fuse.s3fs',
    'fuse.gcsfuse',
    'fuse.rclone',
    'fuse.glusterfs',
    'fuse.juicefs',
    'fuse.mountpoint-s3',
    'fuse.davfs',
  ])('is refused on %s, which reaches over a network', (name) =>
    expect(() => check(on(FUSE, name))).toThrow(`is on ${name}: SQLite needs a local disk`),
  )

  it.each([
    ['virtiofs', 'is on virtiofs: '],
    ['fuse.grpcfuse', 'is on fuse.grpcfuse: '],
    ['fuseblk', 'is on fuseblk: '],
    [null, 'is on FUSE: '],
    ['fuse.fuse-overlayfs', 'in the container'],
  ])('is warned about on %s, by name', (name, warning) => {
    expect(check(on(FUSE, name))).toContain(warning)
  })

  it.each([
    [0x01021994, 'tmpfs, in memory'],
    [0x858458f6, 'ramfs, in memory'],
    [0x794c7630, 'mount a volume there'],
    [0x61756673, 'mount a volume there'],
  ])('is warned about where it is lost: %i', (type, warning) => {
    expect(check(on(type))).toContain(warning)
  })

  it.each([
    ['ext4', 0xef53],
    ['xfs', 0x58465342],
    ['btrfs', 0x9123683e],
    ['zfs', 0x2fc12fc1],
    ['APFS, where numbers differ', 0x1a],
  ])('is fine on %s', (_name, type) => expect(check(on(type))).toBeNull())

  it('is looked up in this machine’s own table of mounts', () => {
    const table = [
      '22 1 0:21 / / rw,relatime - ext4 /dev/vda rw',
      '31 22 0:77 / /mnt/with\\040space rw shared:7 - fuse.sshfs host:/x rw',
      '32 22 0:78 / /mnt/b rw - virtiofs share rw',
    ].join('\n')
    expect(mountedAs(table, '0:77')).toBe('fuse.sshfs')
    expect(mountedAs(table, '0:78')).toBe('virtiofs')
    expect(mountedAs(table, '0:79')).toBeNull()
    expect(() => checkDisk(`${tempFolder()}/inbox.db`)).not.toThrow()
  })

  it.runIf(process.platform === 'linux')('and so has a number and a name', () => {
    expect(systemDisk.type('/proc')).toBe(0x9fa0)
    expect(systemDisk.name('/proc')).toBe('proc')
  })
})
