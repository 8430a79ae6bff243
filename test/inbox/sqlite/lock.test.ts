import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { tempFolder } from '../../support/temp.ts'

const NOBODY = 65534
const isRoot = process.getuid?.() === 0

/** Takes the lock as a process of its own, without root's rights. Tells `locked`, or the error. */
async function lockAsNobody(path: string): Promise<string> {
  const lock = resolve(import.meta.dirname, '../../../src/inbox/sqlite/lock.ts')
  const clock = resolve(import.meta.dirname, '../../../src/clock.ts')
  const script = `
    const { lockInstance } = await import(${JSON.stringify(lock)})
    const { systemClock } = await import(${JSON.stringify(clock)})
    const options = { clock: systemClock, signal: AbortSignal.abort(), onWait() {} }
    await lockInstance(${JSON.stringify(path)}, options).then(() => console.log('locked'), (e) => console.log(e.name, e.message))
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  })
  return (await text(child.stdout)).trim()
}

function folderOfNobody(): string {
  const folder = tempFolder()
  if (isRoot) chownSync(folder, NOBODY, NOBODY)
  return folder
}

describe('a lock file that this process may not write', () => {
  it('that is its own locks', async () => {
    expect(await lockAsNobody(join(folderOfNobody(), 'inbox.db'))).toBe('locked')
  })

  it.each([0o444, 0o400])('is no lock, and refused with owner, user and cure: mode %o', async (mode) => {
    const path = join(folderOfNobody(), 'inbox.db')
    writeFileSync(`${path}.lock`, '')
    chmodSync(`${path}.lock`, mode)
    const told = await lockAsNobody(path)
    const { uid } = statSync(`${path}.lock`)
    expect(told).toMatch(/^DatabaseRefused this service cannot lock its database/)
    expect(told).toContain(
      `${path}.lock belongs to ${uid === 0 ? 'root (uid 0)' : `uid ${uid}`}, mode ${mode.toString(8)}`,
    )
    expect(told).toContain(`runs as uid ${isRoot ? NOBODY : uid}: chown`)
  })

  it.runIf(isRoot)('nor is one that may be read by all, or not at all, as long as another owns it', async () => {
    const path = join(folderOfNobody(), 'inbox.db')
    writeFileSync(`${path}.lock`, '')
    for (const mode of [0o644, 0o600]) {
      chmodSync(`${path}.lock`, mode)
      expect(await lockAsNobody(path)).toMatch(/^DatabaseRefused .*belongs to root/)
    }
    chmodSync(`${path}.lock`, 0o666)
    expect(await lockAsNobody(path)).toBe('locked')
  })

  it('is told when it is a folder', async () => {
    const path = join(folderOfNobody(), 'inbox.db')
    mkdirSync(`${path}.lock`)
    expect(await lockAsNobody(path)).toMatch(/^DatabaseRefused .*inbox\.db\.lock is not a file/)
  })
})
