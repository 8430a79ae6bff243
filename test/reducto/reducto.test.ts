import { getEventListeners, once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createClient } from '../../src/reducto/client.ts'
import { ReductoError } from '../../src/reducto/errors.ts'
import { createFetchJob } from '../../src/reducto/fetch-job.ts'
import { createListJobs } from '../../src/reducto/list-jobs.ts'
import { createProbeAccount } from '../../src/reducto/probe.ts'
import { parseRetryAfter } from '../../src/retry-after.ts'

/** How the SDK is tamed: against a server of the test's own, over a real socket. */

const never = new AbortController().signal

async function world(listener: RequestListener, timeout = 30_000) {
  const requests: { url: string; authorization: string | undefined }[] = []
  const server = createServer((request, response) => {
    requests.push({ url: request.url!, authorization: request.headers.authorization })
    listener(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = createClient({ apiKey: 'key-1', baseUrl: url, timeout })
  return {
    requests,
    url,
    fetchJob: createFetchJob(client, Date.now),
    probe: createProbeAccount(client, Date.now),
    listJobs: createListJobs(client, Date.now),
  }
}

async function failure(run: Promise<unknown>): Promise<ReductoError> {
  const error = await run.then(
    () => new Error('it did not fail'),
    (thrown) => thrown,
  )
  if (error instanceof ReductoError) return error
  throw error
}

describe('a fetch', () => {
  it('gives the answer byte for byte', async () => {
    const bytes = Buffer.from('{ "status" : "Completed",\n "x": 1.0, "é": "\\u00e9" }')
    const { fetchJob, requests } = await world((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(bytes)
    })
    expect(await fetchJob('job-1', never)).toEqual(bytes)
    expect(requests).toEqual([{ url: '/job/job-1', authorization: 'Bearer key-1' }])
  })

  it('is one call: the SDK retries nothing', async () => {
    for (const status of [408, 409, 429, 500, 503]) {
      const { fetchJob, requests } = await world((_request, response) => {
        response.writeHead(status, { 'x-should-retry': 'true' }).end('{}')
      })
      expect(await failure(fetchJob('job-1', never))).toMatchObject({ status })
      expect(requests).toHaveLength(1)
    }
  })

  it('has one deadline that covers headers, body, and the body of an error', async () => {
    const stalls: RequestListener[] = [
      () => {},
      (_request, response) => void response.writeHead(200, { 'content-length': 100 }).write('{'),
      (_request, response) => void response.writeHead(500, { 'content-length': 100 }).write('{'),
    ]
    for (const stall of stalls) {
      const { fetchJob } = await world(stall, 50)
      expect((await failure(fetchJob('job-1', never))).kind).toBe('failed')
    }
  })

  it('takes no answer of more than 64 MiB', async () => {
    for (const status of [200, 500]) {
      const { fetchJob } = await world((_request, response) => {
        response.writeHead(status)
        const piece = Buffer.alloc(1024 * 1024, 32)
        const write = (left: number): void => {
          if (left === 0) response.end()
          else if (!response.destroyed) response.write(piece, () => write(left - 1))
        }
        write(66)
      })
      expect((await failure(fetchJob('job-1', never))).kind).toBe(status === 200 ? 'too_large' : 'failed')
    }
  })

  it('counts what is inflated, and looks at what is declared', async () => {
    const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024, 32))
    const answers: RequestListener[] = [
      (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
      (_request, response) => void response.writeHead(200, { 'content-length': 65 * 1024 * 1024 }).write('{'),
    ]
    for (const answer of answers) {
      const { fetchJob } = await world(answer)
      expect((await failure(fetchJob('job-1', never))).kind).toBe('too_large')
    }
  })

  it.each([
    [204, ''],
    [200, ''],
    [200, '  '],
    [200, 'null'],
    [200, '[]'],
    [200, '"text"'],
    [200, '<html>Sign in</html>'],
    [201, '{"status":"Completed"}'],
    [206, '{"status":"Completed"}'],
  ])('takes %i %j for no answer', async (status, body) => {
    const { fetchJob } = await world((_request, response) => response.writeHead(status).end(body))
    const error = await failure(fetchJob('job-1', never))
    expect(error).toMatchObject({ kind: 'unreadable', status })
    expect(error.message).toMatch(`Reducto answered ${status} with`)
  })

  it.each(['{}', ' \n{"a":NaN}', '\ufeff{"a":1}'])('leaves %j to whoever reads it', async (body) => {
    const { fetchJob } = await world((_request, response) => response.end(body))
    expect(String(await fetchJob('job-1', never))).toBe(body)
  })

  it('leaves nothing on the signal that it is given, however it ends', async () => {
    const { signal } = new AbortController()
    const answers: RequestListener[] = [
      (_request, response) => response.end('{}'),
      (_request, response) => response.writeHead(500).end('{}'),
      (_request, response) => response.destroy(),
      () => {},
    ]
    for (const answer of answers) {
      const { fetchJob } = await world(answer, 50)
      await fetchJob('job-1', signal).catch(() => {})
      expect(getEventListeners(signal, 'abort')).toEqual([])
    }
    const { fetchJob, listJobs, probe } = await world((_request, response) => response.end('{"jobs":[]}'))
    for (let round = 0; round < 300; round++)
      await Promise.all([fetchJob('job-1', signal), listJobs({ limit: 1 }, signal), probe(signal)])
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('ends with its signal at once', async () => {
    const asked = Promise.withResolvers<void>()
    const { fetchJob, requests } = await world(() => asked.resolve())
    const stop = new AbortController()
    const failed = failure(fetchJob('job-1', stop.signal))
    await asked.promise
    stop.abort()
    expect(await failed).toMatchObject({ kind: 'failed', message: expect.stringContaining('interrupted') })
    const before = requests.length
    expect((await failure(fetchJob('job-1', AbortSignal.abort()))).message).toMatch('interrupted')
    expect(requests).toHaveLength(before)
  })

  it('goes out by the fetch that it is given', async () => {
    const urls: string[] = []
    const outbound = async (url: string | URL) => {
      urls.push(String(url))
      return new Response('{}')
    }
    const client = createClient({ apiKey: 'k', baseUrl: 'https://reducto.example', fetch: outbound })
    expect(String(await createFetchJob(client, Date.now)('job-1', never))).toBe('{}')
    expect(urls).toEqual(['https://reducto.example/job/job-1'])
  })

  it('takes the key to no other place', async () => {
    const away = await world((_request, response) => response.end('{}'))
    const { fetchJob } = await world((_request, response) => {
      response.writeHead(302, { location: `${away.url}/steal` }).end()
    })
    expect(await failure(fetchJob('job-1', never))).toMatchObject({ kind: 'failed', status: 302 })
    expect(away.requests).toEqual([])
  })

  it('tells Reducto’s 404 from a proxy’s, and from one that broke off', async () => {
    const answers: [RequestListener, string][] = [
      [(_request, response) => response.writeHead(404).end('{"detail":"Job not found"}'), 'unknown_job'],
      ...[
        '{}',
        '[]',
        '"x"',
        '1',
        '{"detail":""}',
        '{"detail":[]}',
        '{"detail":{}}',
        '{"error":{}}',
        '{"error":null}',
        '{"status":404}',
      ].map((body): [RequestListener, string] => [(_request, response) => response.writeHead(404).end(body), 'failed']),
      ...[
        '{"error":{"message":"Job not found"}}',
        '{"error":{"name":"JOB_NOT_FOUND"}}',
        '{"error":"not found"}',
        '{"message":"no such job"}',
        '{"detail":[{"msg":"x"}]}',
      ].map((body): [RequestListener, string] => [
        (_request, response) => response.writeHead(404).end(body),
        'unknown_job',
      ]),
      [(_request, response) => response.writeHead(404).end('<html>nginx</html>'), 'failed'],
      [(_request, response) => response.writeHead(404).end(), 'failed'],
      [(_request, response) => response.writeHead(404).end('null'), 'failed'],
      [
        (_request, response) => {
          response.writeHead(404, { 'content-length': 100 }).write('{"detail"')
          setImmediate(() => response.destroy())
        },
        'failed',
      ],
    ]
    for (const [answer, kind] of answers) {
      const { fetchJob } = await world(answer)
      expect((await failure(fetchJob('job-1', never))).kind).toBe(kind)
    }
  })

  it.each([
    [{ error: { message: 'no credits', type: 'x', code: 1 } }, 'no credits'],
    [{ detail: 'Job not found' }, 'Job not found'],
    [{ detail: [{ msg: 'field required' }] }, 'field required'],
    [{ message: '[CODE 1000] rate limit exceeded' }, 'rate limit exceeded'],
    [{ other: 'shape' }, 'shape'],
  ])('reads the message of %j', async (body, message) => {
    const { fetchJob } = await world((_request, response) => response.writeHead(400).end(JSON.stringify(body)))
    expect((await failure(fetchJob('job-1', never))).message).toMatch(message)
  })
})

it('keeps little of what Reducto says in a message', async () => {
  for (const body of [
    { detail: 'x'.repeat(50_000) },
    { other: 'x'.repeat(50_000) },
    { detail: 'x'.repeat(5_000_000) },
  ]) {
    const { fetchJob } = await world((_request, response) => response.writeHead(400).end(JSON.stringify(body)))
    const error = await failure(fetchJob('job-1', never))
    expect(error).toMatchObject({ kind: 'failed', status: 400 })
    expect(error.message.length).toBeLessThan(400)
  }
})

it('tells every address that refused', async () => {
  const client = createClient({
    apiKey: 'k',
    baseUrl: 'http://reducto.example',
    fetch: async () => {
      const refused = (address: string) =>
        Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: 'ECONNREFUSED' })
      const both = new AggregateError([refused('::1:443'), refused('127.0.0.1:443')])
      both.cause = both
      throw new TypeError('fetch failed', { cause: both })
    },
  })
  expect((await failure(createFetchJob(client, Date.now)('job-1', never))).message).toBe(
    'no connection to Reducto: connect ECONNREFUSED ::1:443, connect ECONNREFUSED 127.0.0.1:443',
  )
})

describe('a list of jobs', () => {
  const answering = (body: string, status = 200) =>
    world((_request, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body))

  it.each([
    ['2026-11-24T12:00:00Z', Date.UTC(2026, 10, 24, 12)],
    ['2026-11-24T12:00:00.500000+00:00', Date.UTC(2026, 10, 24, 12, 0, 0, 500)],
    ['2026-11-24T12:00:00', Date.UTC(2026, 10, 24, 12)],
    ['soon', null],
    [1_700_000_000, null],
    [undefined, null],
  ])('reads %s as the time of a job', async (created_at, createdAt) => {
    const body = JSON.stringify({ jobs: [{ job_id: 'a-1', status: 'Completed', created_at }] })
    const { listJobs } = await answering(body)
    expect((await listJobs({ limit: 5 }, never)).jobs).toEqual([{ jobId: 'a-1', status: 'Completed', createdAt }])
  })

  it('gives ids, statuses and the next cursor', async () => {
    const { listJobs, requests } = await answering(
      JSON.stringify({
        jobs: [
          { job_id: 'a-1', status: 'Completed', type: 'Parse', more: 1 },
          { job_id: '../x', status: 'Completed' },
          null,
          7,
          { job_id: 'b-2' },
        ],
        next_cursor: 'c2',
      }),
    )
    expect(await listJobs({ limit: 5, cursor: 'c1' }, never)).toEqual({
      jobs: [{ jobId: 'a-1', status: 'Completed', createdAt: null }],
      next: 'c2',
    })
    expect(requests).toMatchObject([{ url: '/jobs?limit=5&cursor=c1' }])
  })

  it.each([
    ['{"jobs":[]}'],
    ['{"jobs":[],"next_cursor":null}'],
    ['{"jobs":[],"next_cursor":""}'],
    ['{"jobs":[],"next_cursor":7}'],
  ])('%s is the last page', async (body) => {
    expect(await (await answering(body)).listJobs({ limit: 1 }, never)).toEqual({ jobs: [], next: null })
  })

  it.each([['null'], ['[]'], ['{}'], ['{"jobs":{}}'], ['<html>'], ['']])('%j is none', async (body) => {
    expect((await failure((await answering(body)).listJobs({ limit: 1 }, never))).kind).toBe('unreadable')
  })

  it('fails as every call does', async () => {
    expect((await failure((await answering('{}', 401)).listJobs({ limit: 1 }, never))).kind).toBe('denied')
  })
})

describe('the account', () => {
  it.each([
    [200, '{"jobs":[]}', true],
    [401, '{}', false],
    [403, '<html>', false],
    [404, '{}', true],
    [422, '{}', true],
    [200, '<html>Sign in</html>', null],
    [200, 'null', null],
    [204, '', null],
    [302, '', null],
    [407, '', null],
    [408, '', null],
    [429, '{}', null],
    [500, '{}', null],
  ])('%i %s: %s', async (status, body, known) => {
    const { probe, requests } = await world((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
    expect(await probe(never)).toBe(known)
    expect(requests).toMatchObject([{ url: '/jobs?limit=1' }])
  })
})

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  it.each([
    ['120', 120_000],
    ['0.5', 500],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
    ['soon 5', undefined],
    ['-1', undefined],
    ['2026-01-02', undefined],
    ['9'.repeat(400), 86_400_000],
    ['Fri, 01 Jan 2100 00:00:00 GMT', 86_400_000],
    ['Thursday, 01-Jan-26 00:01:00 GMT', 60_000],
    ['Thu Jan  1 00:01:00 2026', 60_000],
    ['', undefined],
    [null, undefined],
  ])('%j is %s ms', (value, ms) => {
    expect(parseRetryAfter(value, now)).toBe(ms)
  })
})
