import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { createS3Results } from '../../src/results/s3.ts'
import { testS3 } from '../support/s3.ts'
import { delivery, event, testService } from '../support/service.ts'
import { answerOf, neverAborts, ours, pieces, recordOf, resultsContract, save, textOf } from './contract.ts'

const s3 = testS3()
const strict = testS3({ strict: true })
const open = (prefix: string, { bucket = 'results', server = s3, owner = ours } = {}) =>
  createS3Results({ bucket, prefix, region: null, endpoint: server.endpoint }, { owner })

resultsContract('results in S3', async (place, owner) => open(place.replace(/^\/+/, ''), { owner }))

describe('results in S3', () => {
  it('make links that anybody can follow, and only to what they name', async () => {
    const results = open('links', { server: strict })
    const draft = await results.draft('job-1', 1, { signal: neverAborts })
    const { path } = await draft.write('files/1-pdf_url.pdf', pieces('the document'))
    const link = (await results.link('job-1', path, Date.now()))!
    const answer = await fetch(link)
    expect(await answer.text()).toBe('the document')
    expect(answer.headers.get('content-disposition')).toBe('attachment')
    expect((await fetch(link.replace('1-pdf_url', '2-pdf_url'))).status).toBe(403)
  })

  it('share a bucket without getting into each other’s way', async () => {
    const [one, two, whole] = [open('one'), open('one-two'), open('')]
    for (const results of [one, two]) await save(results, 'job-1', 'x')
    expect(await whole.expire({ before: Date.now() + 60_000 })).toBe(0)
    expect(await one.expire({ before: Date.now() + 60_000 })).toBe(1)
    expect(await two.record('job-1', neverAborts)).not.toBeNull()
  })

  it('take what is there without being a record for no result', async () => {
    const results = open('broken')
    const broken = await results.draft('job-1', 1, { signal: neverAborts })
    await broken.commit({ ...recordOf('job-1'), version: 2 as 1 }, { replace: false })
    expect(await results.record('job-1', neverAborts)).toBeNull()
    expect(await save(results, 'job-1', 'x', { token: 2 })).not.toBeNull()
    expect(await answerOf(results, 'job-1')).toBe('x')
  })

  it('say what is wrong with the store', async () => {
    const error = await open('', { bucket: 'nobodys-bucket' })
      .check(neverAborts)
      .catch((thrown) => thrown)
    expect(error).toBeInstanceOf(ResultsUnavailable)
    expect(error).toMatchObject({ trouble: 'results', message: expect.stringContaining('NoSuchBucket') })
    const unreachable = createS3Results({
      bucket: 'results',
      prefix: '',
      region: null,
      endpoint: 'http://127.0.0.1:1',
    })
    await expect(unreachable.record('job-1', neverAborts)).rejects.toBeInstanceOf(ResultsUnavailable)
  })

  it('need no home directory', async () => {
    const script = `
      import { createS3Results } from ${JSON.stringify(resolve('src/results/s3.ts'))}
      const results = createS3Results({ bucket: 'results', prefix: 'home', region: null, endpoint: '${s3.endpoint}' })
      await results.check(new AbortController().signal)
      console.log('checked')`
    // Nobody's id: as where a container runs under any id, which os.homedir() throws for.
    const stranger = process.getuid?.() === 0 ? { uid: 54_321, gid: 54_321 } : {}
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      env: { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' },
      ...stranger,
    })
    expect(stdout.trim()).toBe('checked')
  })
})

it('the whole service saves what it fetches in a bucket, side files and all', async () => {
  const url = `s3://results/service?endpoint=${encodeURIComponent(s3.endpoint)}`
  const on = await testService({ env: { RESULTS_URL: url } })
  const jobId = on.reducto.addJob({ kind: 'parse-url' })
  const settled = event(on.events, 'settled')
  await on.inbox.accept(delivery(jobId))
  expect(await settled).toMatchObject({ state: 'done', files: 5 })
  const record = (await on.results.record(jobId, neverAborts))!
  expect(record).toMatchObject({ status: 'Completed', complete: true, files: { count: 5 } })
  const lines = (await textOf(on.results, jobId, record.files.path))!.trim().split('\n')
  for (const line of lines) {
    const { path, bytes } = JSON.parse(line)
    const file = (await on.results.open(jobId, path))!
    expect(file.bytes).toBe(bytes)
    file.body.destroy()
  }
})
