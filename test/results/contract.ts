import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { JobRecord } from '../../src/results/record.ts'
import type { Draft, Results } from '../../src/results/results.ts'
import { tempFolder } from '../support/temp.ts'

/** Opens a store on what is kept under `place`; opened again, it is the same store after a restart. */
export type OpenForTest = (place: string) => Promise<Results>

export function recordOf(jobId: string, change: Partial<JobRecord> = {}): JobRecord {
  return {
    version: 1,
    job_id: jobId,
    status: 'Completed',
    type: 'Parse',
    reason: null,
    metadata: null,
    endpoint: 'default',
    endpoints: ['default'],
    svix_id: 'msg_1',
    received_at: '2026-01-01T00:00:00.000Z',
    fetched_at: '2026-01-01T00:00:01.000Z',
    complete: true,
    job: { path: 'job.json', bytes: 2, sha256: 'x' },
    files: { path: 'files.jsonl', bytes: 0, sha256: 'x', count: 0, failed: 0 },
    ...change,
  }
}

export async function* pieces(...texts: string[]): AsyncIterable<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

export async function text(source: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

/** What a saved file holds; null when there is none. */
export async function textOf(results: Results, jobId: string, path: string): Promise<string | null> {
  const file = await results.open(jobId, path)
  if (file === null) return null
  const content = await text(file.body)
  expect(file.bytes).toBe(Buffer.byteLength(content))
  return content
}

/** The record of what `draft` holds. */
function recordIn(draft: Draft, jobId: string, change: Partial<JobRecord> = {}): JobRecord {
  return recordOf(jobId, { job: { path: `${draft.base}job.json`, bytes: 2, sha256: 'x' }, ...change })
}

/** What every store of results promises. */
export function resultsContract(name: string, openForTest: OpenForTest): void {
  async function openTest() {
    const place = tempFolder()
    const results = await openForTest(place)
    await results.tidy()
    const reopen = async () => {
      const again = await openForTest(place)
      await again.tidy()
      return again
    }
    return { results, reopen }
  }

  async function save(results: Results, jobId: string, content: string, options = { token: 1, replace: false }) {
    const draft = await results.draft(jobId, options.token)
    await draft.write(`${draft.base}job.json`, pieces(content))
    return draft.commit(recordIn(draft, jobId, { metadata: content }), { replace: options.replace })
  }

  /** The answer that the job's record names. */
  async function answerOf(results: Results, jobId: string) {
    return textOf(results, jobId, (await results.record(jobId))!.job.path)
  }

  describe(name, () => {
    it('has nothing of an unknown job', async () => {
      const { results } = await openTest()
      expect(await results.record('nobody')).toBeNull()
      expect(await results.open('nobody', 'job.json')).toBeNull()
    })

    it('writes streams and tells their size and digest', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1)
      const path = `${draft.base}files/1-url.json`
      expect(await draft.write(path, pieces('{"a"', ':1}'))).toEqual({
        bytes: 7,
        sha256: createHash('sha256').update('{"a":1}').digest('hex'),
      })
      expect(await text(draft.read(path))).toBe('{"a":1}')
    })

    it('shows a result when it is committed, not before', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1)
      await draft.write(`${draft.base}job.json`, pieces('{}'))
      await draft.write(`${draft.base}files/1-image_url.png`, pieces('png'))
      expect(await results.record('job-1')).toBeNull()
      const record = recordIn(draft, 'job-1')
      expect(await draft.commit(record, { replace: false })).toBe(true)
      expect(await results.record('job-1')).toEqual(record)
      expect(await answerOf(results, 'job-1')).toBe('{}')
      expect(await textOf(results, 'job-1', `${draft.base}files/1-image_url.png`)).toBe('png')
    })

    it('lets a complete result win over a late writer', async () => {
      const { results } = await openTest()
      const late = await results.draft('job-1', 1)
      await late.write(`${late.base}job.json`, pieces('late'))
      expect(await save(results, 'job-1', 'first', { token: 2, replace: false })).toBe(true)
      expect(await late.commit(recordIn(late, 'job-1', { metadata: 'late' }), { replace: false })).toBe(false)
      expect(await results.record('job-1')).toMatchObject({ metadata: 'first' })
      expect(await answerOf(results, 'job-1')).toBe('first')
    })

    it('replaces a result deliberately, leaving nothing of the old one', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1)
      const old = `${draft.base}files/old.png`
      await draft.write(old, pieces('old'))
      await draft.commit(recordIn(draft, 'job-1'), { replace: false })
      expect(await textOf(results, 'job-1', old)).toBe('old')
      expect(await save(results, 'job-1', 'new', { token: 2, replace: true })).toBe(true)
      expect(await results.record('job-1')).toMatchObject({ metadata: 'new' })
      expect(await answerOf(results, 'job-1')).toBe('new')
      expect(await results.open('job-1', old)).toBeNull()
    })

    it('keeps nothing of a draft that is discarded, or left by a dead process', async () => {
      const { results, reopen } = await openTest()
      const discarded = await results.draft('job-1', 1)
      await discarded.write(`${discarded.base}job.json`, pieces('x'))
      await discarded.discard()
      const left = await results.draft('job-2', 1)
      await left.write(`${left.base}job.json`, pieces('x'))
      const again = await reopen()
      for (const jobId of ['job-1', 'job-2']) expect(await again.record(jobId)).toBeNull()
      expect(await save(again, 'job-2', 'whole')).toBe(true)
    })

    it('begins a draft empty, also after one that failed', async () => {
      const { results } = await openTest()
      const failed = await results.draft('job-1', 1)
      const stale = `${failed.base}files/stale`
      await failed.write(stale, pieces('x'))
      await save(results, 'job-1', 'whole')
      expect(await results.open('job-1', stale)).toBeNull()
    })

    it('passes on what the source of a file throws', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1)
      const broken = async function* () {
        yield Buffer.from('half')
        throw new Error('the download broke off')
      }
      await expect(draft.write(`${draft.base}files/1`, broken())).rejects.toThrow('the download broke off')
    })

    it('keeps a result over a restart', async () => {
      const { results, reopen } = await openTest()
      await save(results, 'job-1', 'x')
      expect(await (await reopen()).record('job-1')).not.toBeNull()
    })

    it('opens no path outside of a result', async () => {
      const { results } = await openTest()
      await save(results, 'job-1', 'one')
      await save(results, 'job-2', 'two')
      for (const path of ['../job-2/job.json', '/etc/passwd', '..', '', '.'])
        expect(await results.open('job-1', path), path).toBeNull()
    })

    it('takes a large file in pieces, and gives it back', async () => {
      const { results } = await openTest()
      const piece = Buffer.alloc(1024 * 1024, 'x')
      const large = async function* () {
        for (let index = 0; index < 12; index++) yield piece
      }
      const draft = await results.draft('job-1', 1)
      const path = `${draft.base}files/1-url.json`
      expect(await draft.write(path, large())).toMatchObject({ bytes: 12 * piece.length })
      await draft.commit(recordIn(draft, 'job-1'), { replace: false })
      const file = await results.open('job-1', path)
      expect(file!.bytes).toBe(12 * piece.length)
      const hash = createHash('sha256')
      for await (const chunk of file!.body) hash.update(chunk)
      expect(hash.digest('hex')).toBe(
        createHash('sha256')
          .update(Buffer.alloc(12 * piece.length, 'x'))
          .digest('hex'),
      )
    })

    it('removes one result, and those that are old enough', async () => {
      const { results } = await openTest()
      for (const jobId of ['a', 'b', 'c']) await save(results, jobId, 'x')
      await results.remove('a')
      await results.remove('nobody')
      expect(await results.record('a')).toBeNull()
      expect(await results.expire({ before: Date.now() - 60_000 })).toBe(0)
      expect(await results.record('b')).not.toBeNull()
      expect(await results.expire({ before: Date.now() + 60_000 })).toBe(2)
      expect(await results.record('b')).toBeNull()
    })

    it('can be checked', async () => {
      const { results } = await openTest()
      await results.check()
    })
  })
}
