import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { whyNoFile, whyNoFolder } from '../src/permissions.ts'
import { tempFolder } from './support/temp.ts'

const failing = (code: string) => () => {
  throw Object.assign(new Error(code), { code })
}

describe('why a folder cannot be written', () => {
  it('null for one that is there, and for one that can be made', () => {
    const folder = tempFolder()
    expect(whyNoFolder(folder)).toBeNull()
    expect(whyNoFolder(join(folder, 'a/b/c'))).toBeNull()
  })

  it('names the nearest that is there, whose it is, who we are, and the cure', () => {
    const folder = tempFolder()
    chmodSync(folder, 0o755)
    const { uid } = statSync(folder)
    const why = whyNoFolder(join(folder, 'a/b'), failing('EACCES'))
    expect(why).toBe(
      `${folder} belongs to ${uid === 0 ? 'root (uid 0)' : `uid ${uid}`}, mode 755, and this process runs as uid ${uid}: ` +
        `chown -R ${uid}:${process.getgid?.()} ${folder}, or start it as the owner (Docker: --user; Kubernetes: securityContext.fsGroup)`,
    )
  })

  it.each([
    ['EROFS', /is on a file system that is mounted read-only: mount it writable/],
    ['EIO', /cannot be used \(EIO\)/],
  ])('%s', (code, why) => expect(whyNoFolder(tempFolder(), failing(code))).toMatch(why))

  it.each([
    ['/proc', /^\S+ \(\/proc\) lies in \/proc, where the kernel keeps no files: name a path on a disk$/],
    ['/proc/self', /lies in \/proc/],
    ['/sys', /lies in \/sys/],
    ['/dev/shm', /lies in \/dev/],
  ])('a link into %s, in whatever way that is written', (target, why) => {
    const link = join(tempFolder(), 'link')
    symlinkSync(target, link)
    expect(whyNoFolder(link)).toMatch(why)
    expect(whyNoFolder(join(link, 'no-such-folder/below'))).toMatch(why)
  })

  it('a file that is a link to one of the kernel’s', () => {
    const link = join(tempFolder(), 'receiver.db')
    symlinkSync('/proc/self/comm', link)
    expect(whyNoFile(link)).toMatch(/\(\/proc\/\d+\/comm\) lies in \/proc/)
  })

  it('a file or a link to nothing in the way', () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'file'), '')
    symlinkSync('/nowhere/at/all', join(folder, 'link'))
    expect(whyNoFolder(join(folder, 'file'))).toBe(`${folder}/file is not a folder`)
    expect(whyNoFolder(join(folder, 'file/below/it'))).toBe(`${folder}/file is not a folder`)
    expect(whyNoFolder(join(folder, 'link/below'))).toBe(`${folder}/link is a link to something that does not exist`)
  })
})

describe('why a file cannot be written', () => {
  it('null when there is none, or it can', () => {
    const file = join(tempFolder(), 'file')
    expect(whyNoFile(file)).toBeNull()
    writeFileSync(file, '')
    expect(whyNoFile(file)).toBeNull()
  })

  it('names a folder, and a file of another user', () => {
    const folder = tempFolder()
    mkdirSync(join(folder, 'sub'))
    writeFileSync(join(folder, 'file'), '')
    expect(whyNoFile(join(folder, 'sub'))).toBe(`${folder}/sub is not a file`)
    expect(whyNoFile(join(folder, 'file'), failing('EACCES'))).toMatch(/file belongs to .* this process runs as uid/)
  })
})
