import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { createS3Results } from '../../src/results/s3.ts'
import { testS3 } from '../support/s3.ts'
import { delivery, event, testService } from '../support/service.ts'
import { pieces, recordOf, resultsContract, textOf } from './contract.ts'

const s3 = testS3()
const strict = testS3({ strict: true })
const open = (prefix: string, { bucket = 'results', server = s3 } = {}) =>
  createS3Results({ bucket, prefix, region: null, endpoint: server.endpoint })

resultsContract('results in S3', async (place) => open(place.replace(/^\/+/, '')))

describe('results in S3', () => {
  it('make links that anybody can follow, and only to what they name', async () => {
    const results = open('links', { server: strict })
    const draft = await results.draft('job-1', 1)
    const path = `${draft.base}files/1-pdf_url.pdf`
    await draft.write(path, pieces('the document'))
    await draft.commit(recordOf('job-1'), { replace: false })
    const link = (await results.link('job-1', path, Date.now()))!
    const answer = await fetch(link)
    expect(await answer.text()).toBe('the document')
    expect(answer.headers.get('content-disposition')).toBe('attachment')
    expect((await fetch(link.replace('1-pdf_url', '2-pdf_url'))).status).toBe(403)
  })

  it('share a bucket without getting into each other’s way', async () => {
    const [one, two, whole] = [open('one'), open('one-two'), open('')]
    for (const results of [one, two]) {
      const draft = await results.draft('job-1', 1)
      await draft.commit(recordOf('job-1'), { replace: false })
    }
    expect(await whole.expire({ before: Date.now() + 60_000 })).toBe(0)
    expect(await one.expire({ before: Date.now() + 60_000 })).toBe(1)
    expect(await two.record('job-1')).not.toBeNull()
  })

  it('take what is there without being a record for no result', async () => {
    const results = open('broken')
    const broken = await results.draft('job-1', 1)
    await broken.commit({ ...recordOf('job-1'), version: 2 as 1 }, { replace: false })
    expect(await results.record('job-1')).toBeNull()
    const draft = await results.draft('job-1', 1)
    expect(await draft.commit(recordOf('job-1'), { replace: false })).toBe(true)
    expect(await results.record('job-1')).not.toBeNull()
  })

  it('say what is wrong with the store', async () => {
    const error = await open('', { bucket: 'nobodys-bucket' })
      .check()
      .catch((thrown) => thrown)
    expect(error).toBeInstanceOf(ResultsUnavailable)
    expect(error).toMatchObject({ trouble: 'results', message: expect.stringContaining('NoSuchBucket') })
    const unreachable = createS3Results({
      bucket: 'results',
      prefix: '',
      region: null,
      endpoint: 'http://127.0.0.1:1',
    })
    await expect(unreachable.record('job-1')).rejects.toBeInstanceOf(ResultsUnavailable)
  })
})

describe('a store whose answers get lost', () => {
  /** Passes requests on; with `PUT record.json`, as often as told, answers something else than the store did. */
  async function lossy(losses: ('retried' | 'failed')[]) {
    let landed = false
    const proxy = createServer(async (request, response) => {
      const body = Buffer.concat(await Array.fromAsync(request))
      const headers = { ...request.headers, host: new URL(s3.endpoint).host } as unknown as Record<string, string>
      delete headers.connection
      delete headers['transfer-encoding']
      const { method = 'GET', url = '/' } = request
      // As Amazon's does; this server knows no conditions.
      if (landed && headers['if-none-match']) return void response.writeHead(412).end()
      const answer = await fetch(`${s3.endpoint}${url}`, {
        method,
        headers,
        ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
      })
      const bytes = Buffer.from(await answer.arrayBuffer())
      const isRecord = method === 'PUT' && url.includes('record.json')
      const loss = isRecord ? losses.shift() : undefined
      landed ||= isRecord
      if (loss === 'retried') return void response.destroy()
      if (loss === 'failed') return void response.writeHead(403).end()
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(bytes)
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void proxy.close().closeAllConnections())
    const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    return createS3Results({ bucket: 'results', prefix: `lossy-${losses[0]}`, region: null, endpoint })
  }

  it.each([['retried'], ['failed']] as const)(
    'keeps the files that a record names which landed all the same: %s',
    async (loss) => {
      const results = await lossy([loss])
      const draft = await results.draft('job-1', 1)
      const path = `${draft.base}job.json`
      await draft.write(path, pieces('{}'))
      const record = recordOf('job-1', { job: { path, bytes: 2, sha256: 'x' } })
      const saved = await draft.commit(record, { replace: false }).catch(async () => {
        await draft.discard()
        return 'failed'
      })
      expect(saved).toBe(loss === 'failed' ? 'failed' : true)
      expect(await results.record('job-1')).not.toBeNull()
      expect(await textOf(results, 'job-1', path)).toBe('{}')
    },
  )
})

it('the whole service saves what it fetches in a bucket, side files and all', async () => {
  const url = `s3://results/service?endpoint=${encodeURIComponent(s3.endpoint)}`
  const on = await testService({ env: { RESULTS_URL: url } })
  const jobId = on.reducto.addJob({ kind: 'parse-url' })
  const settled = event(on.events, 'settled')
  await on.inbox.accept(delivery(jobId))
  expect(await settled).toMatchObject({ state: 'done', files: 5 })
  const record = (await on.results.record(jobId))!
  expect(record).toMatchObject({ status: 'Completed', complete: true, files: { count: 5 } })
  const lines = (await textOf(on.results, jobId, record.files.path))!.trim().split('\n')
  for (const line of lines) {
    const { path, bytes } = JSON.parse(line)
    expect((await on.results.open(jobId, path))!.bytes).toBe(bytes)
  }
})
