import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import pino from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createWalkThread } from '../../src/answer/walk-thread.ts'
import { type CompletedResult, type Handler, Permanent } from '../../src/handler/handler.ts'
import { createModuleHandOver } from '../../src/handler/module.ts'
import { createFileResults } from '../../src/results/file.ts'
import type { Results } from '../../src/results/results.ts'
import { createS3Results } from '../../src/results/s3.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { neverAborts, pieces, recordOf } from '../results/contract.ts'
import { faultyS3 } from '../support/faulty-s3.ts'
import { tempFolder } from '../support/temp.ts'

const STORES: Record<string, () => Promise<Results>> = {
  folder: async () => createFileResults({ root: tempFolder(), minFree: 0 }),
  async bucket() {
    const { endpoint } = await faultyS3()
    return createS3Results({ bucket: 'results', prefix: '', region: null, endpoint })
  },
}

/** Larger than what a stream reads ahead. */
const CHUNKS = Array.from({ length: 40 }, (_, index) => ({ content: `${index}`.padEnd(64 * 1024, 'x') }))
const ANSWER = JSON.stringify({ result: { chunks: CHUNKS } })
const LINE = `${JSON.stringify({ in: 'job.json', pointer: '/url', error: 'gone' })}\n`

type Use = (result: CompletedResult) => Promise<unknown>
/** Ways of leaving a file open. */
const USES: Record<string, Use> = {
  'a stream that nobody reads': ({ open, record }) => open(record.job.path),
  'a stream that is read in part': async ({ open, record }) =>
    void (await once(await open(record.job.path), 'readable')),
  'two of one file': ({ open, record }) => Promise.all([open(record.job.path), open(record.job.path)]),
  'the list of files, left after a line': ({ files }) => files()[Symbol.asyncIterator]().next(),
  'the chunks, left after the first': ({ chunks }) => chunks()[Symbol.asyncIterator]().next(),
}

type End = { readonly timeout: number; readonly run: (stop: AbortController) => unknown; readonly is: string }
const ENDS: Record<string, End> = {
  passes: { timeout: 30_000, run: () => {}, is: 'taken' },
  fails: { timeout: 30_000, run: () => Promise.reject(new Error('not now')), is: 'retry' },
  'refuses the result': { timeout: 30_000, run: () => Promise.reject(new Permanent('never')), is: 'refused' },
  'is aborted': {
    timeout: 30_000,
    run(stop) {
      stop.abort()
      return new Promise(() => {})
    },
    is: 'retry',
  },
  'times out': { timeout: 300, run: () => new Promise(() => {}), is: 'retry' },
}

/** A saved result, and the streams that are opened of it. */
async function openTest(store: Results) {
  const draft = await store.draft('job-1', 1, { signal: neverAborts })
  const job = await draft.write('job.json', pieces(ANSWER))
  const list = await draft.write('files.jsonl', pieces(LINE.repeat(20_000)))
  const record = recordOf('job-1', { job, files: { ...list, count: 20_000, failed: 0 } })
  await draft.commit(record, { replace: false })
  const bodies: Readable[] = []
  const results: Pick<Results, 'open'> = {
    async open(...args) {
      const file = await store.open(...args)
      if (file) bodies.push(file.body)
      return file
    },
  }
  const walk = createWalkThread()
  onTestFinished(() => walk.close())
  const call = (handler: Handler, timeout: number, signal: AbortSignal) =>
    createModuleHandOver(handler, {
      results,
      walk,
      timeout,
      log: pino({ level: 'silent' }),
      scrub: createScrub([]),
    })({ record, round: 1, attempt: 1 }, signal)
  return { bodies, call }
}

async function expectClosed(bodies: readonly Readable[]): Promise<void> {
  expect(bodies.length).toBeGreaterThan(0)
  expect(bodies.filter((body) => !body.destroyed)).toEqual([])
  for (const body of bodies) {
    if (!body.closed) await new Promise((resolve) => body.once('close', resolve))
    // Of a bucket, the connection too: it was in the middle of an answer.
    if ('socket' in body && !body.readableEnded) expect((body as IncomingMessage).socket.destroyed).toBe(true)
  }
}

describe.each(Object.entries(STORES))('what a call opens in a %s is closed when it', (_store, openStore) => {
  it.each(Object.entries(ENDS))('%s', async (_end, { timeout, run, is }) => {
    const { bodies, call } = await openTest(await openStore())
    for (const use of Object.values(USES)) {
      bodies.length = 0
      const stop = new AbortController()
      const handed = await call(
        async (result) => {
          await use(result as CompletedResult)
          await run(stop)
        },
        timeout,
        stop.signal,
      )
      expect(handed.is).toBe(is)
      await expectClosed(bodies)
    }
  })

  it('ends while the store still opens', async () => {
    const { bodies, call } = await openTest(await openStore())
    let late: Promise<unknown> = Promise.resolve()
    const handler: Handler = (result) => {
      late = result.open(result.record.job.path)
      late.catch(() => {})
    }
    expect(await call(handler, 30_000, neverAborts)).toEqual({ is: 'taken' })
    await late.catch(() => {})
    expect(bodies.filter((body) => !body.destroyed)).toEqual([])
  })

  it('is over, and nothing is opened after it', async () => {
    const { bodies, call } = await openTest(await openStore())
    let opening: (() => Promise<unknown>) | null = null
    await call(
      (result) => {
        opening = () => result.open(result.record.job.path)
      },
      30_000,
      neverAborts,
    )
    await expect(opening!()).rejects.toThrow('the call of the handler has ended')
    expect(bodies).toEqual([])
  })
})
