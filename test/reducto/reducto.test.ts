import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createClient } from '../../src/reducto/client.ts'
import { ReductoError } from '../../src/reducto/errors.ts'
import { createFetchJob } from '../../src/reducto/fetch-job.ts'
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
  return { requests, url, fetchJob: createFetchJob(client, Date.now), probe: createProbeAccount(client, Date.now) }
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

describe('the account', () => {
  it.each([
    [200, '{"jobs":[]}', true],
    [401, '{}', false],
    [403, '<html>', false],
    [404, '{}', true],
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
    ['', undefined],
    [null, undefined],
  ])('%j is %s ms', (value, ms) => {
    expect(parseRetryAfter(value, now)).toBe(ms)
  })
})
