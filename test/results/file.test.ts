import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createDrafts } from '../../src/results/file/drafts.ts'
import { createFileResults } from '../../src/results/file.ts'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { tempFolder } from '../support/temp.ts'
import {
  answerOf,
  neverAborts,
  ours,
  pieces,
  recordOf,
  resultsContract,
  save,
  stallingSource,
  theirs,
} from './contract.ts'

resultsContract('results in files', async (root, owner) => createFileResults({ root, minFree: 0, owner }))

const DAY = 24 * 3_600_000

function openTest(owner = ours) {
  const root = tempFolder()
  const warnings: string[] = []
  const onWarning = (message: string) => warnings.push(message)
  const reopen = (as = owner) => createFileResults({ root, minFree: 0, owner: as, onWarning })
  return { root, drafts: () => readdirSync(join(root, '.tmp')), results: reopen(), reopen, warnings }
}

/** The inbox of a service that has been asked for each draft. */
function asking(answer: boolean) {
  const asked: { jobId: string; token: number }[] = []
  const isAbandoned = async (draft: { jobId: string; token: number }) => {
    asked.push(draft)
    return answer
  }
  return { asked, isAbandoned }
}

describe('results in files', () => {
  it('lie under the job’s id, readable by scripts of the service’s user alone, whatever the umask', async () => {
    const { root, drafts, results } = openTest()
    const before = process.umask(0)
    onTestFinished(() => void process.umask(before))
    const place = join(root, 'below')
    const nested = createFileResults({ root: place, minFree: 0 })
    await nested.check(neverAborts)
    const { record } = (await save(results, 'job-1', '{}', { files: { '1-url.json': '{}' } }))!
    await save(nested, 'job-1', '{}')
    expect(readdirSync(join(root, 'job-1')).sort()).toEqual(['files', 'files.jsonl', 'job.json', 'record.json'])
    expect(readdirSync(join(place, 'job-1')).sort()).toEqual(['files.jsonl', 'job.json', 'record.json'])
    expect(readFileSync(join(root, 'job-1', 'record.json'), 'utf8')).toBe(`${JSON.stringify(record, null, 2)}\n`)
    expect(drafts()).toEqual([])
    for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      const info = statSync(join(root, path))
      expect((info.mode & 0o777).toString(8), path).toBe(info.isDirectory() ? '700' : '600')
    }
  })

  it('take a folder without a record, or with another’s, for no result', async () => {
    const { root, results } = openTest()
    for (const [jobId, text] of [
      ['none', null],
      ['empty', ''],
      ['half', '{"version":1,'],
      ['other-version', '{"version":2}'],
      ['other-job', JSON.stringify(recordOf('job-1'))],
    ] as const) {
      mkdirSync(join(root, jobId))
      writeFileSync(join(root, jobId, 'stale'), 'x')
      if (text !== null) writeFileSync(join(root, jobId, 'record.json'), text)
      expect(await results.record(jobId, neverAborts)).toBeNull()
      expect(await save(results, jobId, 'x')).not.toBeNull()
      expect(await results.record(jobId, neverAborts)).not.toBeNull()
      expect(existsSync(join(root, jobId, 'stale'))).toBe(false)
    }
  })

  it('tell too little room from other trouble', async () => {
    const full = createFileResults({ root: tempFolder(), minFree: Number.MAX_SAFE_INTEGER })
    await expect(full.check(neverAborts)).rejects.toMatchObject({
      trouble: 'disk',
      message: expect.stringContaining('MIN_FREE_DISK'),
    })
    const root = join(tempFolder(), 'file')
    writeFileSync(root, 'in the way')
    const blocked = createFileResults({ root, minFree: 0 })
    for (const run of [() => blocked.check(neverAborts), () => blocked.draft('job-1', 1, { signal: neverAborts })]) {
      const error = await run().catch((thrown) => thrown)
      expect(error).toBeInstanceOf(ResultsUnavailable)
      expect(error).toMatchObject({ trouble: 'results' })
    }
  })

  it('call it busy, not broken, when the process is out of descriptors', () => {
    const script = `
      import { openSync } from 'node:fs'
      import { createFileResults } from ${JSON.stringify(resolve('src/results/file.ts'))}
      const { signal } = new AbortController()
      const results = createFileResults({ root: ${JSON.stringify(tempFolder())}, minFree: 0 })
      const draft = await results.draft('job-1', 1, { signal })
      try { for (;;) openSync('/dev/null') } catch {}
      async function* source() { yield Buffer.from('x') }
      for (const run of [() => results.check(signal), () => results.record('job-1', signal),
        () => results.open('job-1', 'job.json'), () => draft.write('job.json', source())])
        console.log((await run().catch((error) => error)).trouble)`
    const command = `ulimit -n 60; exec "${process.execPath}" --input-type=module`
    const { stdout, stderr } = spawnSync('sh', ['-c', command], { input: script, encoding: 'utf8' })
    expect(stdout.trim().split('\n'), stderr).toEqual(['busy', 'busy', 'busy', 'busy'])
  })

  it('follow no link that lies in a result', async () => {
    const { root, results } = openTest()
    const outside = join(tempFolder(), 'secret.json')
    writeFileSync(outside, JSON.stringify(recordOf('linked')))
    await save(results, 'job-1', '{}', { files: { '1.json': '{}' } })
    symlinkSync(outside, join(root, 'job-1', 'files', '2.json'))
    symlinkSync('/dev/zero', join(root, 'job-1', 'files', '3.json'))
    expect(await results.open('job-1', 'files/1.json').then((file) => file!.body.destroy())).toBeDefined()
    for (const path of ['files/2.json', 'files/3.json']) expect(await results.open('job-1', path)).toBeNull()
    // A folder on the way that is a link, and a job's folder that is one.
    rmSync(join(root, 'job-1', 'files'), { recursive: true })
    symlinkSync(resolve(outside, '..'), join(root, 'job-1', 'files'))
    expect(await results.open('job-1', 'files/secret.json')).toBeNull()
    symlinkSync(join(root, 'job-1'), join(root, 'job-2'))
    expect(await results.open('job-2', 'job.json')).toBeNull()
    mkdirSync(join(root, 'linked'))
    symlinkSync(outside, join(root, 'linked', 'record.json'))
    expect(await results.record('linked', neverAborts)).toBeNull()
  })

  it('open no folder, and do not wait for a pipe', async () => {
    const { root, results } = openTest()
    await save(results, 'job-1', '{}')
    mkdirSync(join(root, 'job-1', 'files'))
    mkdirSync(join(root, 'job-1', 'files', '1.json'))
    spawnSync('mkfifo', [join(root, 'job-1', 'files', '2.json')])
    for (const path of ['files/1.json', 'files/2.json']) expect(await results.open('job-1', path)).toBeNull()
  })

  it('may lie behind a link themselves', async () => {
    const [place, link] = [tempFolder(), join(tempFolder(), 'results')]
    symlinkSync(place, link)
    const results = createFileResults({ root: link, minFree: 0 })
    await save(results, 'job-1', 'x')
    expect(await answerOf(results, 'job-1')).toBe('x')
  })

  it('leave no descriptor open, whatever fails', async () => {
    const { root, results } = openTest()
    const count = () => readdirSync('/proc/self/fd').length
    await save(results, 'job-1', 'x')
    mkdirSync(join(root, 'job-1', 'files'))
    mkdirSync(join(root, 'job-1', 'files', '1'))
    const before = count()
    for (let round = 0; round < 20; round++) {
      const stop = new AbortController()
      const draft = await results.draft('job-2', 1, { signal: stop.signal })
      const { source, stalled } = stallingSource()
      const writing = draft.write('files/1', source)
      await stalled
      stop.abort()
      await expect(writing).rejects.toThrow()
      await draft.discard()
      const failing = await results.draft('job-2', 1, { signal: neverAborts })
      const broken = async function* () {
        yield Buffer.from('x')
        throw new Error('broken')
      }
      await expect(failing.write('files/1', broken())).rejects.toThrow('broken')
      await failing.discard()
      await results.open('job-1', 'files/1')
      const file = await results.open('job-1', 'job.json')
      file!.body.destroy()
      await new Promise((closed) => file!.body.once('close', closed))
    }
    await expect.poll(count).toBe(before)
  })
})

describe('a draft', () => {
  it('whose folder was removed fails, and becomes no result', async () => {
    const { root, drafts, results } = openTest()
    const draft = await results.draft('job-1', 1, { signal: neverAborts })
    const job = await draft.write('job.json', pieces('{}'))
    rmSync(join(root, '.tmp', drafts()[0]!), { recursive: true })
    await expect(draft.write('files/1.png', pieces('x'))).rejects.toBeInstanceOf(ResultsUnavailable)
    await expect(draft.commit(recordOf('job-1', { job }), { replace: false })).rejects.toBeInstanceOf(
      ResultsUnavailable,
    )
    expect(await results.record('job-1', neverAborts)).toBeNull()
    expect(readdirSync(join(root, '.tmp'))).toEqual([])
  })

  it.each([
    ['removed', (path: string) => unlinkSync(path)],
    ['cut', (path: string) => writeFileSync(path, '')],
  ])('of which one file was %s becomes no result', async (_, damage) => {
    const { root, drafts, results } = openTest()
    const draft = await results.draft('job-1', 1, { signal: neverAborts })
    const job = await draft.write('job.json', pieces('{}'))
    await draft.write('files/1.png', pieces('png'))
    damage(join(root, '.tmp', drafts()[0]!, 'files', '1.png'))
    await expect(draft.commit(recordOf('job-1', { job }), { replace: false })).rejects.toThrow(/files\/1\.png/)
    expect(await results.record('job-1', neverAborts)).toBeNull()
  })

  it('is not committed while a file is being written', async () => {
    const { results } = openTest()
    const stop = new AbortController()
    const draft = await results.draft('job-1', 1, { signal: stop.signal })
    const { source, stalled } = stallingSource()
    const writing = draft.write('files/1', source)
    await stalled
    await expect(draft.commit(recordOf('job-1'), { replace: false })).rejects.toThrow()
    stop.abort()
    await expect(writing).rejects.toThrow()
  })

  it('of a dead process goes when its claim is lost, and not before', async () => {
    const { drafts, results, reopen } = openTest()
    await results.draft('job-1', 7, { signal: neverAborts })
    const [holds, lost] = [asking(false), asking(true)]
    await reopen().removeAbandonedDrafts(holds.isAbandoned, neverAborts)
    expect(drafts()).toHaveLength(1)
    await reopen().removeAbandonedDrafts(lost.isAbandoned, neverAborts)
    expect(drafts()).toEqual([])
    expect([...holds.asked, ...lost.asked]).toEqual([
      { jobId: 'job-1', token: 7 },
      { jobId: 'job-1', token: 7 },
    ])
  })

  it('of another service, or of a version that named no service, goes when nothing was written for a day', async () => {
    const { root, drafts, results, reopen } = openTest(theirs)
    const draft = await results.draft('job-1', 1, { signal: neverAborts })
    await draft.write('files/1.png', pieces('x'))
    mkdirSync(join(root, '.tmp', 'job-2.3'))
    const mine = reopen(ours)
    await mine.removeAbandonedDrafts(async () => true, neverAborts)
    expect(drafts()).toHaveLength(2)
    // The change time cannot be set back, so the clock is set on.
    const { now } = Date
    Date.now = () => now() + DAY + 60_000
    onTestFinished(() => {
      Date.now = now
    })
    await mine.removeAbandonedDrafts(async () => true, neverAborts)
    expect(drafts()).toEqual([])
  })

  it('is all that goes: what is not ours stays in its folder', async () => {
    const { root, drafts, results, reopen } = openTest()
    await results.draft('job-1', 1, { signal: neverAborts })
    for (const name of ['notes.txt', 'lost+found', '.probe', 'a.b.c']) writeFileSync(join(root, '.tmp', name), 'x')
    await reopen().removeAbandonedDrafts(async () => true, neverAborts)
    expect(drafts().sort()).toEqual(['.probe', 'a.b.c', 'lost+found', 'notes.txt'])
  })

  it('is not asked for any more when the service stops', async () => {
    const { results, reopen } = openTest()
    for (const jobId of ['a', 'b']) await results.draft(jobId, 1, { signal: neverAborts })
    const stop = new AbortController()
    const reason = new Error('stopped')
    const hang = () => {
      stop.abort(reason)
      return new Promise<boolean>(() => {})
    }
    await expect(reopen().removeAbandonedDrafts(hang, stop.signal)).rejects.toBe(reason)
  })
})

describe('replacing a result', () => {
  it('brings the old one back when the process died in between', async () => {
    const { root, results, reopen } = openTest()
    await save(results, 'job-1', 'old')
    renameSync(join(root, 'job-1'), join(root, '.tmp', `job-1.replaced-${ours}-${ours}`))
    await reopen().removeAbandonedDrafts(async () => true, neverAborts)
    expect(await answerOf(results, 'job-1')).toBe('old')
  })

  it('clears the old one away when the new one is there', async () => {
    const { root, drafts, results, reopen } = openTest()
    await save(results, 'job-1', 'old')
    renameSync(join(root, 'job-1'), join(root, '.tmp', `job-1.replaced-${ours}-${ours}`))
    await save(results, 'job-1', 'new')
    await reopen().removeAbandonedDrafts(async () => true, neverAborts)
    expect(await answerOf(results, 'job-1')).toBe('new')
    expect(drafts()).toEqual([])
  })

  it('takes a move back that it cannot finish', async () => {
    const { root, results } = openTest()
    await save(results, 'job-1', 'old')
    const drafts = createDrafts({
      folder: join(root, '.tmp'),
      root,
      owner: ours,
      isSaved: async () => true,
      orSkip: (_, step) => step(),
    })
    await expect(drafts.install(join(root, '.tmp', 'gone'), 'job-1', true)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await answerOf(results, 'job-1')).toBe('old')
  })

  it('of two services that save one job at once, one keeps its whole result', async () => {
    const { results, reopen } = openTest()
    const all = Array.from({ length: 8 }, (_, index) => (index % 2 ? results : reopen(theirs)))
    const saved = await Promise.all(all.map((one, index) => save(one, 'job-1', `by ${index}`, { token: index })))
    const winners = saved.filter((one) => one !== null)
    expect(winners).toHaveLength(1)
    expect(await answerOf(results, 'job-1')).toBe(winners[0]!.record.metadata)
  })
})

describe('removing results', () => {
  it('leaves nothing of a job, drafts and replaced results of it included', async () => {
    const { root, drafts, results } = openTest()
    await save(results, 'job-1', 'x')
    await results.draft('job-1', 3, { signal: neverAborts })
    const kept = await results.draft('job-1-2', 1, { signal: neverAborts })
    mkdirSync(join(root, '.tmp', 'job-1.replaced'))
    await results.remove('job-1', neverAborts)
    expect(readdirSync(root)).toEqual(['.tmp'])
    expect(drafts()).toHaveLength(1)
    await kept.discard()
  })

  it('by age passes over what is not ours or cannot be read, and tells it once', async () => {
    const { root, results, warnings } = openTest()
    for (const jobId of ['a', 'z']) await save(results, jobId, 'x')
    mkdirSync(join(root, 'lost+found'))
    for (const name of ['loop', 'loop-2']) symlinkSync(name, join(root, name))
    mkdirSync(join(root, 'archive'))
    writeFileSync(join(root, 'archive', 'record.json'), '{"mine":true}')
    lutimesSync(join(root, 'archive', 'record.json'), 1, 1)
    expect(await results.expire({ before: Date.now() + 60_000 })).toBe(2)
    expect(readdirSync(root).sort()).toEqual(['.tmp', 'archive', 'loop', 'loop-2', 'lost+found'])
    expect(warnings).toEqual([expect.stringContaining('loop')])
  })
})

it('an improvement takes the rights of others from files that had them', async () => {
  const { root, results } = openTest()
  const { paths } = (await save(results, 'job-1', 'x', { files: { '1.png': 'png' } }))!
  const file = join(root, 'job-1', paths[0]!)
  chmodSync(file, 0o644)
  await save(results, 'job-1', 'y', { token: 2, replace: true, from: 'saved' })
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

it('an improvement copies files where they can get no second name', async () => {
  const { root, results } = openTest()
  const { paths } = (await save(results, 'job-1', 'x', { files: { '1.png': 'png' } }))!
  // A file has 65,000 names at most on ext4. Where there is no such limit only the plain way can be tested.
  const file = join(root, 'job-1', paths[0]!)
  const names = tempFolder()
  let isFull = false
  try {
    for (let index = 0; index < 65_100; index++) linkSync(file, join(names, String(index)))
  } catch {
    isFull = true
  }
  expect(await save(results, 'job-1', 'y', { token: 2, replace: true, from: 'saved' })).not.toBeNull()
  expect(readFileSync(file, 'utf8')).toBe('png')
  if (isFull) expect(statSync(file).nlink).toBe(1)
  expect(statSync(file).mode & 0o777).toBe(0o600)
})
