import { getEventListeners } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { HandOver, SavedJob } from '../../src/handler/hand-over.ts'
import { createFileResults } from '../../src/results/file.ts'
import type { JobRecord } from '../../src/results/record.ts'
import type { Results } from '../../src/results/results.ts'
import { createScrub, type Scrub } from '../../src/telemetry/scrub.ts'
import { recordOf } from '../results/contract.ts'
import { tempFolder } from '../support/temp.ts'

/** What the user's side does with the next call. */
export type Behaviour = 'take' | 'fail' | 'hang'

/** A way of handing over, and the user's side of it. */
export type OpenForTest = (options: { results: Results; timeout: number; scrub: Scrub }) => Promise<{
  handOver: HandOver
  behave(...next: Behaviour[]): void
  /** The job ids of the calls so far. */
  calls(): readonly string[]
}>

/** A store with one saved result. */
export async function savedResult(jobId: string, change: Partial<JobRecord> = {}, job = '{"status":"Completed"}') {
  const root = tempFolder()
  const record = recordOf(jobId, { job: { path: 'job.json', bytes: job.length, sha256: 'x' }, ...change })
  mkdirSync(join(root, jobId))
  writeFileSync(join(root, jobId, 'job.json'), job)
  writeFileSync(join(root, jobId, 'files.jsonl'), '')
  writeFileSync(join(root, jobId, 'record.json'), JSON.stringify(record))
  return { root, record, results: createFileResults({ root, minFree: 0 }) }
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What all calls together may leave; one that leaves 200 bytes a call is over it. */
const MAX_GROWTH = 2 * 1024 * 1024

/** Hands over 10,000 times, whatever comes of it, and looks at what is left of that. */
export async function staysFlat(handOver: HandOver, record: JobRecord): Promise<void> {
  const service = new AbortController().signal
  const run = async (times: number) => {
    for (let done = 0; done < times; done += 10)
      await Promise.all(
        Array.from({ length: 10 }, (_, attempt) =>
          handOver({ record, round: 1, attempt: done + attempt + 1 }, service),
        ),
      )
    await new Promise(setImmediate)
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await run(1_000)
  const after = await run(10_000)
  expect(getEventListeners(service, 'abort')).toHaveLength(0)
  expect(after - before).toBeLessThan(MAX_GROWTH)
}

/** What every way of handing over promises. */
export function handOverContract(name: string, openForTest: OpenForTest): void {
  async function openTest(change: Partial<JobRecord> = {}, timeout = 10_000) {
    const { record, results } = await savedResult('job-1', change)
    const opened = await openForTest({ results, timeout, scrub: createScrub([]) })
    const job: SavedJob = { record, round: 1, attempt: 1 }
    return { ...opened, job, forEver: new AbortController().signal }
  }

  describe(name, () => {
    it('is taken once the user’s side says so', async () => {
      const { handOver, job, calls, forEver } = await openTest()
      expect(await handOver(job, forEver)).toEqual({ is: 'taken' })
      expect(calls()).toEqual(['job-1'])
    })

    it('hands over jobs that failed at Reducto too', async () => {
      const { handOver, job, calls, forEver } = await openTest({ status: 'Failed', reason: 'empty' })
      expect(await handOver(job, forEver)).toEqual({ is: 'taken' })
      expect(calls()).toEqual(['job-1'])
    })

    it('is to be tried again when the user’s side fails, and tells why', async () => {
      const { handOver, behave, job, calls, forEver } = await openTest()
      behave('fail')
      const handed = await handOver(job, forEver)
      expect(handed).toMatchObject({ is: 'retry', reason: { code: expect.any(String), message: expect.any(String) } })
      expect(await handOver({ ...job, attempt: 2 }, forEver)).toEqual({ is: 'taken' })
      expect(calls()).toEqual(['job-1', 'job-1'])
    })

    it('is to be tried again when the user’s side takes too long', async () => {
      const { handOver, behave, job, forEver } = await openTest({}, 50)
      behave('hang')
      expect(await handOver(job, forEver)).toMatchObject({ is: 'retry', reason: { message: /50 ms/ } })
    })

    it('returns soon when the service stops', async () => {
      const { handOver, behave, job, calls } = await openTest()
      behave('hang')
      const stopping = new AbortController()
      const handed = handOver(job, stopping.signal)
      await expect.poll(() => calls().length).toBe(1)
      stopping.abort()
      expect(await handed).not.toEqual({ is: 'taken' })
    })
  })
}
