import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import type { Inbox } from '../../../src/inbox/inbox.ts'
import { openLedger } from '../../../src/inbox/open.ts'
import { openSqlite } from '../../../src/inbox/sqlite/inbox.ts'
import type { SearchState } from '../../../src/inbox/sqlite/search-thread.ts'
import { batchesOf, createSignals, whileWriting } from '../../../src/inbox/sqlite/signals.ts'
import { delivery } from '../../support/service.ts'
import { fillUp, smallDisk } from '../../support/small-disk.ts'
import { tempFolder } from '../../support/temp.ts'

/** The index of search as a file: whose it is, what becomes of it, and that nothing depends on it. */

type Options = { readonly minFree?: number }

/** An inbox whose states of the index can be waited for: `state` resolves with the first that `wanted` accepts, also a past one. */
async function open(path: string, { minFree = 0 }: Options = {}) {
  const states: SearchState[] = []
  let look = () => {}
  const inbox = await openSqlite({
    ...{ path, minFree, clock: systemClock, isService: true },
    onDeath: (error) => expect.unreachable(error.message),
    onSearch(state) {
      states.push(state)
      look()
    },
  })
  onTestFinished(() => inbox.close())
  function state(wanted: (state: SearchState) => boolean): Promise<SearchState> {
    return new Promise((resolve) => {
      look = () => {
        const found = states.findIndex(wanted)
        if (found !== -1) resolve(states.splice(0, found + 1).at(-1)!)
      }
      look()
    })
  }
  return { inbox, state }
}

/** This many deliveries are indexed. */
const has =
  (count: number) =>
  ({ indexed, trouble }: SearchState) =>
    indexed >= count && trouble === null
const newPath = () => join(tempFolder(), 'inbox.db')
const accept = (inbox: Inbox, jobId: string, name: string) => inbox.accept(delivery(jobId, { metadata: { name } }))
const found = async (inbox: Pick<Inbox, 'list'>, q: string) =>
  (await inbox.list({ q }, { limit: 99 })).rows.map(({ jobId }) => jobId)

/** An inbox that was stopped after its index knew of one job, with `needle`. */
async function indexedInbox(): Promise<string> {
  const path = newPath()
  const { inbox, state } = await open(path)
  await accept(inbox, 'job-1', 'needle')
  await state(has(1))
  await inbox.close()
  return path
}

/** What the index itself knows under this word. */
function inIndex(path: string, word: string): number {
  using db = new DatabaseSync(`${path}.search`, { readOnly: true })
  return db.prepare('SELECT rowid FROM words WHERE words MATCH ?').all(`"${word}"`).length
}

function filesWith(path: string, word: string): string[] {
  const folder = join(path, '..')
  return readdirSync(folder).filter((file) => readFileSync(join(folder, file)).includes(word))
}

describe('the index of search', () => {
  it('is a file beside the database that its user alone may read', async () => {
    const path = await indexedInbox()
    expect(inIndex(path, 'needle')).toBe(1)
    expect(statSync(`${path}.search`).mode & 0o777).toBe(0o600)
    using db = new DatabaseSync(`${path}.search`)
    expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
  })

  it('answers instead of a look through all bodies', async () => {
    const path = await indexedInbox()
    // What the index does not know is not looked at: it says that it knows all.
    using db = new DatabaseSync(`${path}.search`)
    db.exec('DELETE FROM words')
    await using ledger = { ledger: await openLedger({ kind: 'sqlite', path }), [Symbol.asyncDispose]: async () => {} }
    expect(await found(ledger.ledger, 'needle')).toEqual([])
    await ledger.ledger.close()
  })

  const spoilt: readonly (readonly [how: string, spoil: (path: string) => void])[] = [
    ['missing', (path) => rmSync(`${path}.search`)],
    ['empty', (path) => writeFileSync(`${path}.search`, '')],
    ['no database', (path) => writeFileSync(`${path}.search`, 'x'.repeat(20_000))],
    ['cut off', (path) => writeFileSync(`${path}.search`, readFileSync(`${path}.search`).subarray(0, 8192))],
    [
      'damaged within',
      (path) => {
        const bytes = readFileSync(`${path}.search`)
        writeFileSync(`${path}.search`, bytes.fill(0x5a, 4096, bytes.length - 4096))
      },
    ],
    [
      'of another version',
      (path) => {
        using db = new DatabaseSync(`${path}.search`)
        db.exec('PRAGMA user_version = 99')
      },
    ],
    [
      'of another database',
      (path) => {
        using db = new DatabaseSync(`${path}.search`)
        db.exec(`UPDATE head SET database = x'00'; DELETE FROM words`)
      },
    ],
    [
      'of this database before it was replaced by a copy',
      (path) => {
        using db = new DatabaseSync(`${path}.search`)
        db.exec(`UPDATE head SET anchor = 'msg_other'; DELETE FROM words`)
      },
    ],
    [
      'further than the database',
      (path) => {
        using db = new DatabaseSync(`${path}.search`)
        db.exec('UPDATE head SET indexed = 99; DELETE FROM words')
      },
    ],
    [
      'without its head',
      (path) => {
        using db = new DatabaseSync(`${path}.search`)
        db.exec('DELETE FROM head')
      },
    ],
  ]
  it.each(spoilt)('is built anew where it is %s', async (_, spoil) => {
    const path = await indexedInbox()
    spoil(path)
    const { inbox, state } = await open(path)
    // Until then, all is looked through.
    expect(await found(inbox, 'needle')).toEqual(['job-1'])
    await accept(inbox, 'job-2', 'needle')
    expect(await found(inbox, 'needle')).toEqual(['job-2', 'job-1'])
    await state(has(2))
    expect(await found(inbox, 'needle')).toEqual(['job-2', 'job-1'])
    expect(inIndex(path, 'needle')).toBe(2)
  })

  it('is built anew when it is damaged under a service that runs', async () => {
    const path = newPath()
    const { inbox, state } = await open(path)
    for (let index = 0; index < 300; index++)
      await accept(inbox, `job-${index}`, `needle ${index} ${'w'.repeat(index)}`)
    await state(has(300))
    expect(await found(inbox, 'needle 7')).toContain('job-7')
    {
      using db = new DatabaseSync(`${path}.search`, { defensive: false })
      db.exec(`UPDATE words_data SET block = x'ffffffffff' WHERE id > 10`)
    }
    expect(await found(inbox, '"needle 7"')).toEqual(['job-7'])
    expect(await state(({ trouble }) => trouble !== null)).toMatchObject({
      trouble: expect.stringContaining('.search: '),
    })
    await state(has(300))
    expect(inIndex(path, 'needle')).toBe(300)
  })

  it('has nothing of what was erased, not even in its file after it was tidied', async () => {
    const path = newPath()
    const { inbox, state } = await open(path)
    await accept(inbox, 'job-1', 'xylophone')
    await accept(inbox, 'job-2', 'zeppelin')
    await state(has(2))
    await inbox.erase('job-1')
    await state(({ isTidy }) => !isTidy)
    expect(inIndex(path, 'xylophone')).toBe(0)
    await inbox.prune(0)
    await state(({ isTidy }) => isTidy)
    expect(inIndex(path, 'zeppelin')).toBe(1)
    expect(filesWith(path, 'xylophone')).toEqual([])
  })

  it('has nothing of what a command erased beside the service', async () => {
    const path = newPath()
    const { inbox, state } = await open(path)
    await accept(inbox, 'job-1', 'xylophone')
    await state(has(1))
    const ledger = await openLedger({ kind: 'sqlite', path })
    await ledger.erase('job-1')
    await ledger.close()
    expect(inIndex(path, 'xylophone')).toBe(0)
  })

  it('has nothing of what was pruned, or of what a process erased that died at once', async () => {
    const path = await indexedInbox()
    const { inbox, state } = await open(path)
    await accept(inbox, 'job-2', 'xylophone')
    await inbox.accept({ ...delivery('', { svixId: 'msg_old', at: 1 }), content: { is: 'ignored' } })
    await accept(inbox, 'job-3', 'zeppelin')
    await state(has(4))
    {
      using db = new DatabaseSync(path)
      db.exec("DELETE FROM delivery_body WHERE seq = (SELECT first_delivery FROM job WHERE job_id = 'job-2')")
    }
    expect(await inbox.prune(1_000)).toBe(1)
    await state(({ isTidy }) => !isTidy)
    await state(({ isTidy }) => isTidy)
    expect(inIndex(path, 'xylophone')).toBe(0)
    expect(filesWith(`${path}.search`, 'xylophone').filter((file) => file.includes('.search'))).toEqual([])
    expect(await found(inbox, 'zepp')).toEqual(['job-3'])
  })

  it('is not written while the disk is nearly full, which is said; everything else goes on', async () => {
    const path = newPath()
    const { inbox, state } = await open(path, { minFree: Number.MAX_SAFE_INTEGER })
    await accept(inbox, 'job-1', 'needle')
    expect(await state(({ trouble }) => trouble !== null)).toMatchObject({
      trouble: expect.stringMatching(/\.search: .* free on the disk, less than MIN_FREE_DISK/),
    })
    expect(await found(inbox, 'needle')).toEqual(['job-1'])
    expect(await inbox.erase('job-1')).toBe('erased')
  })

  it('on a full disk costs nothing that was accepted, and goes on when there is room', async (context) => {
    const disk = smallDisk(8)
    if (disk === null) return context.skip()
    const path = join(disk, 'inbox.db')
    const { inbox, state } = await open(path)
    await accept(inbox, 'job-1', 'needle')
    await state(has(1))
    const filler = fillUp(disk)
    const kept = ['job-1']
    // Until nothing fits: the log has some room of its own.
    for (let index = 2; index < 2_000; index++) {
      const answer = await accept(inbox, `job-${index}`, `needle ${'x'.repeat(20_000)}`).catch(() => null)
      if (answer === null) break
      kept.push(`job-${index}`)
    }
    expect(kept.length).toBeLessThan(1_999)
    expect(await found(inbox, 'needle')).toEqual(expect.arrayContaining(kept.slice(0, 1)))
    rmSync(filler)
    await vi.waitFor(() => accept(inbox, 'job-last', 'needle'), { timeout: 10_000 })
    kept.push('job-last')
    await vi.waitFor(async () => expect(await inbox.searchLag()).toBe(0), { timeout: 10_000 })
    expect((await inbox.list({ q: 'needle' }, { limit: 999 })).rows.map(({ jobId }) => jobId)).toEqual(
      expect.arrayContaining(kept),
    )
  })

  it('hurts nothing where it cannot be made', async () => {
    const path = newPath()
    // A folder that is not empty can neither be opened nor deleted.
    mkdirSync(join(`${path}.search`, 'x'), { recursive: true })
    const { inbox, state } = await open(path)
    await accept(inbox, 'job-1', 'needle')
    expect((await state(({ trouble }) => trouble !== null)).trouble).toContain('inbox.db.search')
    expect(await found(inbox, 'needle')).toEqual(['job-1'])
    expect(await inbox.searchLag()).toBeNull()
  })

  it('serves a copy of the database nothing that the copy does not have', async () => {
    const path = await indexedInbox()
    const copy = newPath()
    for (const end of ['', '.search']) copyFileSync(`${path}${end}`, `${copy}${end}`)
    const first = await open(path)
    await accept(first.inbox, 'job-2', 'other')
    await first.state(has(2))
    await first.inbox.close()
    // The index of the one beside the other, which went on by itself.
    const second = await open(copy)
    await accept(second.inbox, 'job-3', 'needle')
    await second.state(has(2))
    await second.inbox.close()
    copyFileSync(`${path}.search`, `${copy}.search`)
    const again = await open(copy)
    expect(await found(again.inbox, 'needle')).toEqual(['job-3', 'job-1'])
    expect(existsSync(`${copy}.search`)).toBe(true)
  })
})

it('a transaction under way is seen by other threads, also one that fails', () => {
  const signals = createSignals()
  expect(batchesOf(signals)).toBe(0)
  expect(() =>
    whileWriting(signals, () => {
      expect(batchesOf(signals)).toBeNull()
      throw new Error('full')
    }),
  ).toThrow('full')
  expect(batchesOf(signals)).toBe(1)
})
