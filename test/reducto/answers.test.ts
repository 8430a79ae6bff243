import { getEventListeners } from 'node:events'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { expect, it, onTestFinished } from 'vitest'
import { createOutboundFetch } from '../../src/outbound/fetch.ts'
import { NO_PROXIES } from '../../src/outbound/proxy.ts'
import { createClient } from '../../src/reducto/client.ts'
import { ReductoError } from '../../src/reducto/errors.ts'
import { createFetchJob } from '../../src/reducto/fetch-job.ts'
import { serveRaw } from '../download/support.ts'

const CONTENT = Buffer.from(JSON.stringify({ status: 'Completed', result: 'x'.repeat(500) }))
const ENCODINGS: [string | null, (content: Buffer) => Buffer][] = [
  [null, (content) => content],
  ['gzip', gzipSync],
  ['gzip', (content) => content],
  ['gzip', () => Buffer.alloc(0)],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
  ['br', (content) => content],
  ['zstd', (content) => content],
  ['UTF-8', (content) => content],
]
const STATUSES = [200, 203, 204, 205, 206, 301, 304, 400, 404, 500, 599, 600, 999]
const LENGTHS = [0, 1, 9] as const
const BREAKS = ['none', 'head', 'half', 'reset'] as const

it('no answer of Reducto’s host ends the process: each is an answer or a ReductoError', async () => {
  const uncaught: unknown[] = []
  const note = (error: unknown) => void uncaught.push(error)
  process.on('uncaughtExceptionMonitor', note)
  onTestFinished(() => void process.off('uncaughtExceptionMonitor', note))

  const cases = STATUSES.flatMap((status) =>
    ENCODINGS.flatMap(([header, send]) =>
      LENGTHS.flatMap((more) => BREAKS.map((broken) => ({ status, header, body: send(CONTENT), more, broken }))),
    ),
  )
  const { port } = await serveRaw((socket, path) => {
    const { status, header, body, more, broken } = cases[Number(path.slice('/job/'.length))]!
    const encoding = header === null ? '' : `content-encoding: ${header}\r\n`
    const head = `HTTP/1.1 ${status} Words\r\ncontent-length: ${body.length + more}\r\n${encoding}\r\n`
    if (broken === 'head') return void socket.end(head.slice(0, -9))
    if (broken === 'half') return void socket.end(Buffer.concat([Buffer.from(head), body.subarray(0, body.length / 2)]))
    if (broken === 'reset') return void socket.write(head, () => socket.resetAndDestroy())
    const whole = Buffer.concat([Buffer.from(head), body])
    if (more > 0) socket.end(whole)
    else socket.write(whole)
  })
  const { fetch, close } = createOutboundFetch(NO_PROXIES)
  onTestFinished(close)
  const client = createClient({ apiKey: 'k', baseUrl: `http://127.0.0.1:${port}`, timeout: 5_000, fetch })
  const fetchJob = createFetchJob(client, Date.now)
  const { signal } = new AbortController()

  for (const [at, one] of cases.entries()) {
    const got = await fetchJob(String(at), signal).catch((error) => error)
    const isWhole = one.broken === 'none' && one.more === 0 && [200, 203].includes(one.status)
    if (got instanceof Buffer)
      expect([one, got]).toEqual([{ ...one, status: expect.toSatisfy(() => isWhole) }, CONTENT])
    else expect(got).toBeInstanceOf(ReductoError)
    if (isWhole && one.header === null) expect(got).toEqual(CONTENT)
    expect(String((got as Error).message)).not.toMatch('within 5000 ms')
  }
  expect(getEventListeners(signal, 'abort')).toEqual([])
  expect(uncaught).toEqual([])
})
