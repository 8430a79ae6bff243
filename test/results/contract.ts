import { createHash } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type Results, ResultsUnavailable } from '../../src/results/results.ts'
import { tempFolder } from '../support/temp.ts'
import { pieces, recordOf } from './saved.ts'

export { pieces, recordOf } from './saved.ts'

/** Opens a store on what is kept under `place`, for a service whose drafts are `owner`'s. */
export type OpenForTest = (place: string, owner: string) => Promise<Results>

export const ours = 'a'.repeat(16)
export const theirs = 'b'.repeat(16)
/** The signal of a service that does not stop. */
export const neverAborts = new AbortController().signal

/** A download that stalls after its first bytes. `stalled` resolves when it does. */
export function stallingSource() {
  let stall = () => {}
  const stalled = new Promise<void>((resolve) => {
    stall = resolve
  })
  async function* source(): AsyncIterable<Uint8Array> {
    yield Buffer.from('half')
    stall()
    await new Promise(() => {})
  }
  return { source: source(), stalled }
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

type Saving = {
  readonly token?: number
  readonly replace?: boolean
  readonly from?: 'saved'
  readonly files?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Saves a result as the worker does: its files, the list of them, the record. Resolves to the record; null when it lost. */
export async function save(results: Results, jobId: string, content: string, options: Saving = {}) {
  const { token = 1, replace = false, from, files = {}, signal = neverAborts } = options
  const draft = await results.draft(jobId, token, from ? { signal, from } : { signal })
  const job = await draft.write('job.json', pieces(content))
  const entries = []
  for (const [name, inner] of Object.entries(files)) {
    const written = await draft.write(`files/${name}`, pieces(inner))
    entries.push({ in: job.path, pointer: `/${name}`, content_type: null, ...written })
  }
  const list = await draft.write('files.jsonl', pieces(...entries.map((entry) => `${JSON.stringify(entry)}\n`)))
  const record = recordOf(jobId, { metadata: content, job, files: { ...list, count: entries.length, failed: 0 } })
  const saved = await draft.commit(record, { replace })
  return saved ? { record, paths: entries.map(({ path }) => path) } : null
}

/** The answer that the job's record names. */
export async function answerOf(results: Results, jobId: string): Promise<string | null> {
  const record = await results.record(jobId, neverAborts)
  return record && textOf(results, jobId, record.job.path)
}

/** Ids that are none: paths, keys, and what is too long. */
const ODD_IDS = ['', '.', '..', '../b', 'a/b', '/etc', 'a\\b', 'a\0b', '%2e%2e', '.tmp', 'a b', 'é', 'x'.repeat(129)]

/** What every store of results promises. */
export function resultsContract(name: string, openForTest: OpenForTest): void {
  async function openTest(owner = ours) {
    const place = tempFolder()
    const results = await openForTest(place, owner)
    return { place, results, reopen: (as = owner) => openForTest(place, as) }
  }

  describe(name, () => {
    it('has nothing of an unknown job', async () => {
      const { results } = await openTest()
      expect(await results.record('nobody', neverAborts)).toBeNull()
      expect(await results.open('nobody', 'job.json')).toBeNull()
    })

    it('writes streams and tells their path, size and digest', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      expect(await draft.write('files/1-url.json', pieces('{"a"', ':1}'))).toEqual({
        path: expect.stringMatching(/(^|\/)files\/1-url\.json$/),
        bytes: 7,
        sha256: createHash('sha256').update('{"a":1}').digest('hex'),
      })
    })

    it('shows a result when it is committed, not before', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      const job = await draft.write('job.json', pieces('{}'))
      const image = await draft.write('files/1-image_url.png', pieces('png'))
      expect(await results.record('job-1', neverAborts)).toBeNull()
      const record = recordOf('job-1', { job, reason: 'no reason' })
      expect(await draft.commit(record, { replace: false })).toBe(true)
      expect(await results.record('job-1', neverAborts)).toEqual(record)
      expect(await answerOf(results, 'job-1')).toBe('{}')
      expect(await textOf(results, 'job-1', image.path)).toBe('png')
    })

    it('lets a saved result win over a late writer', async () => {
      const { results } = await openTest()
      const late = await results.draft('job-1', 1, { signal: neverAborts })
      const job = await late.write('job.json', pieces('late'))
      expect(await save(results, 'job-1', 'first', { token: 2 })).not.toBeNull()
      expect(await late.commit(recordOf('job-1', { job, metadata: 'late' }), { replace: false })).toBe(false)
      expect(await answerOf(results, 'job-1')).toBe('first')
    })

    it('replaces a result deliberately, leaving nothing of the old one', async () => {
      const { results } = await openTest()
      const { paths, record } = (await save(results, 'job-1', 'old', { files: { 'old.png': 'old' } }))!
      expect(await textOf(results, 'job-1', paths[0]!)).toBe('old')
      expect(await save(results, 'job-1', 'new', { token: 2, replace: true })).not.toBeNull()
      expect(await answerOf(results, 'job-1')).toBe('new')
      expect(await results.open('job-1', paths[0]!)).toBeNull()
      const stale = await textOf(results, 'job-1', record.job.path)
      expect(stale === null || stale === 'new').toBe(true)
    })

    it('improves a saved result: files that came later join those that are there', async () => {
      const { results } = await openTest()
      const { paths, record } = (await save(results, 'job-1', 'answer', {
        files: { '1-url.json': 'one', '2.png': 'two' },
      }))!
      const draft = await results.draft('job-1', 2, { signal: neverAborts, from: 'saved' })
      const late = await draft.write('files/3.png', pieces('three'))
      const again = await draft.write('files/2.png', pieces('two anew'))
      // Nothing is seen of it yet, not even in a file that has the same name.
      expect(await textOf(results, 'job-1', paths[1]!)).toBe('two')
      const list = await draft.write('files.jsonl', pieces(`${JSON.stringify({ in: '', pointer: '', ...late })}\n`))
      const improved = recordOf('job-1', {
        job: record.job,
        files: { ...list, count: 3, failed: 0 },
        metadata: 'improved',
      })
      expect(await draft.commit(improved, { replace: true })).toBe(true)
      expect(await results.record('job-1', neverAborts)).toEqual(improved)
      expect(await answerOf(results, 'job-1')).toBe('answer')
      expect(await textOf(results, 'job-1', paths[0]!)).toBe('one')
      expect(await textOf(results, 'job-1', again.path)).toBe('two anew')
      expect(await textOf(results, 'job-1', late.path)).toBe('three')
    })

    it('leaves a saved result as it was when an improvement is given up', async () => {
      const { results } = await openTest()
      const { paths } = (await save(results, 'job-1', 'answer', { files: { '1.png': 'one' } }))!
      const draft = await results.draft('job-1', 2, { signal: neverAborts, from: 'saved' })
      await draft.write('files/1.png', pieces('other'))
      await draft.write('job.json', pieces('other'))
      await draft.discard()
      expect(await answerOf(results, 'job-1')).toBe('answer')
      expect(await textOf(results, 'job-1', paths[0]!)).toBe('one')
    })

    it('begins no improvement of what is not saved', async () => {
      const { results } = await openTest()
      const draft = results.draft('job-1', 1, { signal: neverAborts, from: 'saved' })
      await expect(draft).rejects.toBeInstanceOf(ResultsUnavailable)
    })

    it('keeps nothing of a draft that is discarded', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      const job = await draft.write('job.json', pieces('x'))
      await draft.discard()
      await draft.discard()
      expect(await results.record('job-1', neverAborts)).toBeNull()
      await expect(draft.commit(recordOf('job-1', { job }), { replace: false })).rejects.toBeInstanceOf(
        ResultsUnavailable,
      )
      expect(await results.record('job-1', neverAborts)).toBeNull()
    })

    it('begins a draft empty, also after one of the same claim that failed', async () => {
      const { results } = await openTest()
      const failed = await results.draft('job-1', 1, { signal: neverAborts })
      const stale = await failed.write('files/stale', pieces('x'))
      expect(await save(results, 'job-1', 'whole')).not.toBeNull()
      expect(await results.open('job-1', stale.path)).toBeNull()
    })

    it('takes a file anew in a later pass, and keeps the earlier one when that fails', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      await draft.write('job.json', pieces('first'))
      const job = await draft.write('job.json', pieces('second'))
      const broken = async function* () {
        yield Buffer.from('half')
        throw new Error('the download broke off')
      }
      await expect(draft.write('job.json', broken())).rejects.toThrow('the download broke off')
      expect(await draft.commit(recordOf('job-1', { job }), { replace: false })).toBe(true)
      expect(await answerOf(results, 'job-1')).toBe('second')
    })

    it('passes on what the source of a file throws, as it is, whatever it looks like', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      const thrown = Object.assign(new Error('connect ECONNRESET'), { code: 'ENOSPC', syscall: 'read' })
      for (const before of [4, 6 * 1024 * 1024]) {
        const broken = async function* () {
          yield Buffer.alloc(before)
          throw thrown
        }
        await expect(draft.write('files/1', broken())).rejects.toBe(thrown)
      }
    })

    it('keeps a result over a restart', async () => {
      const { results, reopen } = await openTest()
      await save(results, 'job-1', 'x')
      expect(await answerOf(await reopen(), 'job-1')).toBe('x')
    })

    it('opens nothing but what a record can name', async () => {
      const { results } = await openTest()
      const { record } = (await save(results, 'job-1', 'one', { files: { '1.png': 'png' } }))!
      await save(results, 'job-2', 'two')
      expect(await textOf(results, 'job-1', record.job.path)).toBe('one')
      const prefixes = ['../job-2/', './', '/', 'files/../', '%2e%2e/job-2/', '..\\job-2\\', 'job-1/', 'x/../']
      for (const path of [
        '/etc/passwd',
        '..',
        '',
        '.',
        'files',
        'files/',
        ...prefixes.map((one) => one + record.job.path),
      ]) {
        expect(await results.open('job-1', path), path).toBeNull()
        expect(await results.link('job-1', path, Date.now()), path).toBeNull()
      }
    })

    it('takes files of no other name than a record can have', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      for (const name of [
        'record.json',
        '../x',
        'files/../x',
        'files/a/b',
        'files/',
        '/x',
        'files/.x',
        'files/a\0',
        'x',
      ])
        await expect(draft.write(name, pieces('x')), name).rejects.toThrow(/cannot have a file named/)
    })

    it.each(ODD_IDS)('has no result of %j, and makes none', async (id) => {
      const { results } = await openTest()
      expect(await results.record(id, neverAborts)).toBeNull()
      expect(await results.open(id, 'record.json')).toBeNull()
      expect(await results.link(id, 'record.json', Date.now())).toBeNull()
      await expect(results.draft(id, 1, { signal: neverAborts })).rejects.toThrow('not a job id')
      await expect(results.remove(id, neverAborts)).rejects.toThrow('not a job id')
    })

    it('takes a record for its own job only', async () => {
      const { results } = await openTest()
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      await expect(draft.commit(recordOf('job-2'), { replace: true })).rejects.toThrow('another job')
    })

    it('takes a large file in pieces of any size, and gives it back', async () => {
      const { results } = await openTest()
      const sizes = [1, 1024 * 1024, 4 * 1024 * 1024, 6 * 1024 * 1024, 3, 1024 * 1024]
      const whole = Buffer.concat(sizes.map((size, index) => Buffer.alloc(size, String(index))))
      const large = async function* () {
        for (const [index, size] of sizes.entries()) yield Buffer.alloc(size, String(index))
      }
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      const sha256 = createHash('sha256').update(whole).digest('hex')
      const written = await draft.write('files/1-url.json', large())
      expect(written).toMatchObject({ bytes: whole.length, sha256 })
      await draft.commit(recordOf('job-1'), { replace: false })
      const file = await results.open('job-1', written.path)
      expect(file!.bytes).toBe(whole.length)
      const hash = createHash('sha256')
      for await (const chunk of file!.body) hash.update(chunk)
      expect(hash.digest('hex')).toBe(sha256)
    })

    it('removes one result, and those that are old enough', async () => {
      const { results } = await openTest()
      for (const jobId of ['a', 'b', 'c']) await save(results, jobId, 'x', { files: { '1.png': 'png' } })
      await results.remove('a', neverAborts)
      await results.remove('nobody', neverAborts)
      expect(await results.record('a', neverAborts)).toBeNull()
      expect(await results.expire({ before: Date.now() - 60_000 })).toBe(0)
      expect(await results.record('b', neverAborts)).not.toBeNull()
      const keep = async (jobId: string) => jobId === 'c'
      expect(await results.expire({ before: Date.now() + 60_000, keep })).toBe(1)
      expect(await results.record('b', neverAborts)).toBeNull()
      expect(await results.record('c', neverAborts)).not.toBeNull()
    })

    it('passes on what those who are asked throw, and stops asking when the service stops', async () => {
      const { results } = await openTest()
      for (const jobId of ['a', 'b']) await save(results, jobId, 'x')
      const thrown = Object.assign(new Error('the inbox is closed'), { code: 'ERR_SQLITE_ERROR' })
      const keep = () => Promise.reject(thrown)
      await expect(results.expire({ before: Date.now() + 60_000, keep })).rejects.toBe(thrown)
      const stop = new AbortController()
      const asked: string[] = []
      const hang = async (jobId: string) => {
        asked.push(jobId)
        stop.abort()
        return new Promise<boolean>(() => {})
      }
      expect(await results.expire({ before: Date.now() + 60_000, keep: hang, signal: stop.signal })).toBe(0)
      expect(asked).toHaveLength(1)
    })

    it('leaves a living draft of another service alone, which can still be saved', async () => {
      const { results, reopen } = await openTest(theirs)
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      const job = await draft.write('job.json', pieces('theirs'))
      const other = await reopen(ours)
      await other.removeAbandonedDrafts(async () => true, neverAborts)
      await save(other, 'job-2', 'ours')
      await draft.write('files.jsonl', pieces(''))
      expect(await draft.commit(recordOf('job-1', { job }), { replace: false })).toBe(true)
      expect(await answerOf(other, 'job-1')).toBe('theirs')
    })

    it('can be checked, by two at once', async () => {
      const { results, reopen } = await openTest()
      const other = await reopen(theirs)
      await Promise.all([results, other, results, other].map((one) => one.check(neverAborts)))
      await results.check(neverAborts)
    })

    it('leaves nothing on the signal of the service', async () => {
      const { results } = await openTest()
      const { signal } = new AbortController()
      await results.check(signal)
      await results.removeAbandonedDrafts(async () => true, signal)
      const { record } = (await save(results, 'job-1', 'x', { signal, files: { '1.png': 'x' } }))!
      await save(results, 'job-1', 'x', { signal })
      const discarded = await results.draft('job-1', 1, { signal })
      await discarded.write('job.json', pieces('x'))
      await discarded.discard()
      await results.record('job-1', signal)
      await text((await results.open('job-1', record.job.path, signal))!.body)
      await results.expire({ before: 0, signal })
      await results.remove('job-1', signal)
      await expect.poll(() => getEventListeners(signal, 'abort').length).toBe(0)
    })

    it('does nothing any more when the service has stopped', async () => {
      const { results } = await openTest()
      await save(results, 'job-1', 'x')
      const draft = await results.draft('job-2', 1, { signal: neverAborts })
      const reason = new Error('stopped')
      const signal = AbortSignal.abort(reason)
      const late = await results.draft('job-1', 2, { signal: neverAborts })
      await draft.discard()
      for (const run of [
        () => results.record('job-1', signal),
        () => results.open('job-1', 'job.json', signal),
        () => results.draft('job-1', 1, { signal }),
        () => results.remove('job-1', signal),
        () => results.check(signal),
      ])
        await expect(run()).rejects.toBe(reason)
      await late.discard()
      expect(await answerOf(results, 'job-1')).toBe('x')
    })

    it('ends the writing of a file whose source hangs when the service stops', async () => {
      const { results } = await openTest()
      const stop = new AbortController()
      const draft = await results.draft('job-1', 1, { signal: stop.signal })
      const { source, stalled } = stallingSource()
      const writing = draft.write('files/1', source)
      await stalled
      const reason = new Error('stopped')
      stop.abort(reason)
      await expect(writing).rejects.toBe(reason)
      await draft.discard()
      expect(await results.record('job-1', neverAborts)).toBeNull()
    })

    it('ends a body that is read when its reader stops', async () => {
      const { results } = await openTest()
      const { record } = (await save(results, 'job-1', 'x'.repeat(1024 * 1024)))!
      const stop = new AbortController()
      const file = await results.open('job-1', record.job.path, stop.signal)
      const reading = text(file!.body)
      stop.abort()
      await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
    })
  })
}
