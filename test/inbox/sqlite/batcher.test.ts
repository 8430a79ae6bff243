import { describe, expect, it } from 'vitest'
import type { Change, Committed } from '../../../src/inbox/sqlite/batch.ts'
import { ACCEPT_TIMEOUT_MS, createBatcher } from '../../../src/inbox/sqlite/batcher.ts'
import { delivery } from '../../support/service.ts'

/** How changes share transactions, with a thread that answers when told. */

const LEFT = { queued: { fetch: false, hand_over: false }, nextDue: { fetch: null, hand_over: null }, paused: false }

function rig() {
  const commits: {
    batch: readonly Change[]
    answer: (more?: Partial<Committed>) => void
    die: (error: Error) => void
  }[] = []
  const transactions: object[] = []
  let now = 0
  const batcher = createBatcher({
    commit(batch) {
      const { promise, resolve, reject } = Promise.withResolvers<Committed>()
      const results = batch.map((_, index) => ({ value: index }))
      commits.push({ batch, answer: (more) => resolve({ results, failed: false, ...LEFT, ...more }), die: reject })
      return promise
    },
    onCommitted() {},
    onTransaction: (transaction) => void transactions.push(transaction),
    monotonic: () => now,
  })
  const accept = (jobId = 'job') => batcher.change('accept', delivery(jobId), 0)
  return {
    ...{ batcher, commits, accept, transactions },
    sizes: () => commits.map(({ batch }) => batch.length),
    pass(ms: number) {
      now += ms
    },
  }
}

/** When all that was asked for in this turn of the event loop has been sent. */
const turn = () => new Promise((resolve) => setImmediate(resolve))
const many = (count: number, one: () => Promise<unknown>) => Array.from({ length: count }, one)

describe('changes', () => {
  it('that are made together share a transaction, and each gets its own result', async () => {
    const { accept, commits, sizes, batcher } = rig()
    const all = many(3, accept)
    expect(batcher.isIdle).toBe(false)
    await turn()
    expect(sizes()).toEqual([3])
    commits[0]!.answer()
    expect(await Promise.all(all)).toEqual([0, 1, 2])
    expect(batcher.isIdle).toBe(true)
  })

  it('are told by transaction, with how many shared it, how long it took and whether it failed', async () => {
    const { accept, commits, transactions, pass, batcher } = rig()
    const all = many(3, accept)
    expect(batcher.waitingRows).toBe(3)
    await turn()
    expect(batcher.waitingRows).toBe(0)
    pass(7)
    commits[0]!.answer()
    await Promise.all(all)
    const lost = accept()
    await turn()
    commits[1]!.answer({ results: [{ failure: { code: 13, message: 'full' } }], failed: true } as Partial<Committed>)
    await expect(lost).rejects.toThrow('full')
    const dead = accept()
    await turn()
    commits[2]!.die(new Error('no thread'))
    await expect(dead).rejects.toThrow('no thread')
    expect(transactions).toEqual([
      { rows: 3, ms: 7, failed: false },
      { rows: 1, ms: 0, failed: true },
      { rows: 1, ms: 0, failed: true },
    ])
  })

  it('gather while one is committed, until they are worth another', async () => {
    const { accept, commits, sizes } = rig()
    const all = [accept()]
    await turn()
    all.push(...(many(31, accept) as typeof all))
    await turn()
    expect(sizes()).toEqual([1])
    all.push(accept())
    await turn()
    expect(sizes()).toEqual([1, 32])
    for (const { answer } of commits) answer()
    await Promise.all(all)
  })

  it('of which few are left are committed when the last transaction is through', async () => {
    const { accept, commits, sizes } = rig()
    const first = accept()
    await turn()
    const second = accept()
    commits[0]!.answer()
    await first
    await turn()
    expect(sizes()).toEqual([1, 1])
    commits[1]!.answer()
    await second
  })

  it('are no more than 256 at once, nor four transactions', async () => {
    const { accept, commits, sizes } = rig()
    const all = many(2_000, accept)
    await turn()
    expect(Math.max(...sizes())).toBeLessThanOrEqual(256)
    expect(sizes()).toHaveLength(4)
    for (let index = 0; index < commits.length; index++) {
      commits[index]!.answer()
      await turn()
    }
    expect(sizes().reduce((sum, size) => sum + size)).toBe(2_000)
    await Promise.all(all)
  })

  it('that are too many to wait are refused at once', async () => {
    const { accept } = rig()
    const all = many(20_000, accept).map((one) => one.catch((error) => error.code as string))
    expect(await all.at(-1)).toBe('full')
  })
})

describe('a transaction', () => {
  it('that fails as a whole says so, until one succeeds', async () => {
    const { accept, commits, batcher } = rig()
    const failed = accept()
    await turn()
    commits[0]!.answer({ failed: true, results: [{ failure: { code: 13, message: 'disk full' } }] })
    await expect(failed).rejects.toMatchObject({ name: 'InboxUnavailable', code: 'failed' })
    expect(batcher.isFailing).toBe(true)
    const next = accept()
    await turn()
    commits[1]!.answer()
    await next
    expect(batcher.isFailing).toBe(false)
  })

  it('of which nobody knows what became of it fails all its changes', async () => {
    const { accept, commits, batcher } = rig()
    const all = many(2, accept)
    await turn()
    commits[0]!.die(new Error('the database thread ended'))
    for (const one of all) await expect(one).rejects.toMatchObject({ code: 'failed' })
    expect(batcher.isFailing).toBe(true)
  })

  it('that takes too long has its accepts answered, and nothing else', async () => {
    const { batcher, accept, commits, pass } = rig()
    const slow = accept()
    const pause = batcher.change('pause', true, null, 0)
    await turn()
    pass(ACCEPT_TIMEOUT_MS)
    batcher.giveUpSlowAccepts()
    pass(1)
    batcher.giveUpSlowAccepts()
    await expect(slow).rejects.toMatchObject({ code: 'slow' })
    commits[0]!.answer()
    expect(await pause).toBe(1)
  })
})

it('a close waits for what is under way, and takes no more', async () => {
  const { batcher, accept, commits } = rig()
  const last = accept()
  let isClosed = false
  const closed = batcher.close().then(() => {
    isClosed = true
  })
  await expect(accept()).rejects.toMatchObject({ code: 'closed' })
  await turn()
  expect(isClosed).toBe(false)
  commits[0]!.answer()
  await last
  await closed
})
