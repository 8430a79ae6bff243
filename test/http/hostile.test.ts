import { connect } from 'node:net'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newMessageId } from '../../src/signing.ts'
import { createEvents, type EventBus } from '../../src/telemetry/events.ts'
import { signed, type TestService, testService } from '../support/service.ts'

/**
 * What anybody on the internet may send: never a 5xx by our fault, never a crash, and nothing recorded that was not
 * verified. Some runs here; `npm run fuzz` for as many as FUZZ_RUNS says.
 */

const RUNS = Number(process.env.FUZZ_RUNS ?? 150)
const options = { numRuns: RUNS, endOnFailure: true }

let service: TestService
let events: EventBus
let bugs: unknown[]

beforeEach(async () => {
  events = createEvents()
  bugs = []
  events.on('failing', (trouble) => bugs.push(trouble))
  service = await testService({
    events,
    env: { WORKER_CONCURRENCY: '0', DIRECT_WEBHOOK_TOKEN: 'direct-token-of-24-characters' },
  })
})

afterEach(async () => {
  expect(bugs).toEqual([])
  expect((await fetch(`${service.url}/healthz`)).status).toBe(200)
})

async function recorded(): Promise<number> {
  const { job, ignored, rejected } = (await service.inbox.stats()).deliveries
  return job + ignored + rejected
}

type Then = 'wait' | 'half-close' | 'hang up'

/** Sends pieces of bytes, then waits, ends its side, or hangs up. Resolves to what came when the other side closes. */
function exchange(pieces: readonly (string | Uint8Array)[], then: Then): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(service.port, '127.0.0.1')
    let answer = ''
    socket.setNoDelay(true)
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.on('connect', async () => {
      for (const piece of pieces) await new Promise((next) => socket.write(piece, next))
      if (then === 'half-close') socket.end()
      if (then === 'hang up') socket.destroy()
    })
  })
}

function statuses(answer: string): number[] {
  return [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

function head(headers: Readonly<Record<string, string>>, path = '/webhook', method = 'POST'): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return `${[`${method} ${path} HTTP/1.1`, 'host: localhost', ...lines].join('\r\n')}\r\n\r\n`
}

/** `bytes`, cut at the places that `cuts` (0 to 1) name. */
function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((part) => Math.floor(part * bytes.length)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 })
const headerValue = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'abcABC0189 ,;:=/+.-_v1'), maxLength: 60 }),
  fc.integer().map(String),
  fc.constantFrom('', '0', '-1', 'v1,', 'v1,AAAA', `${Math.floor(Date.now() / 1000)}`),
)
const headerName = fc.constantFrom(
  'svix-id',
  'svix-timestamp',
  'svix-signature',
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
  'content-type',
  'content-encoding',
  'expect',
  'connection',
  'x-forwarded-for',
  'transfer-encoding',
  'content-length',
)
const path = fc.oneof(
  fc.constantFrom(
    '/webhook',
    '/webhook/',
    '/webhook/x',
    '/webhook/direct/x',
    '/webhook/%00',
    '/webhook/%',
    '//webhook',
    '/WEBHOOK',
    '/',
    '*',
    '/readyz',
    '/webhook?x=1',
    '/webhook/__proto__',
    '/webhook/constructor',
  ),
  fc.webPath(),
)

describe('bytes that are not HTTP', () => {
  it('are answered with a 400, or closed', async () => {
    const before = await recorded()
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), cuts, async (bytes, places) => {
        const answer = await exchange(cut(Buffer.from(bytes), places), 'half-close')
        for (const status of statuses(answer)) expect(status).toBeLessThan(500)
      }),
      options,
    )
    expect(await recorded()).toBe(before)
  })
})

describe('requests that are not signed', () => {
  it('of any method, path, headers and body: a 4xx, or a plain page, and nothing recorded', async () => {
    const before = await recorded()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH', 'TRACE'),
        path,
        fc.dictionary(headerName, headerValue, { maxKeys: 6 }),
        fc.uint8Array({ maxLength: 200 }),
        cuts,
        async (method, where, headers, body, places) => {
          const request = Buffer.concat([
            Buffer.from(
              head({ connection: 'close', 'content-length': String(body.length), ...headers }, where, method),
            ),
            body,
          ])
          for (const status of statuses(await exchange(cut(request, places), 'half-close')))
            expect(status).toBeLessThan(500)
        },
      ),
      options,
    )
    expect(await recorded()).toBe(before)
  })

  it('a signed request with anything about it changed: a 401, and nothing recorded', async () => {
    const before = await recorded()
    const body = '{"status":"Completed","job_id":"hostile-1"}'
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('svix-id', 'svix-timestamp', 'svix-signature', 'body'),
        fc.nat({ max: 200 }),
        fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789'),
        async (what, place, letter) => {
          const headers = signed(service.secret, body)
          const change = (text: string) => {
            const at = place % text.length
            return text[at] === letter ? `${text}${letter}` : text.slice(0, at) + letter + text.slice(at + 1)
          }
          const sent = what === 'body' ? change(body) : body
          if (what !== 'body') headers[what] = change(headers[what]!)
          // A change of the version or the last, padded digit of base64 can leave the signature as good as it was.
          const response = await fetch(`${service.url}/webhook`, { method: 'POST', headers, body: sent })
          expect(response.status).toBe(401)
        },
      ),
      options,
    )
    expect(await recorded()).toBe(before)
  })
})

describe('signed requests', () => {
  const json = fc.json({ maxDepth: 6 })
  const update = fc.record(
    {
      job_id: fc.oneof(fc.string(), fc.uuid(), fc.integer(), fc.constant(null)),
      status: fc.oneof(fc.string(), fc.constantFrom('Completed', 'Failed')),
      metadata: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  const body = fc.oneof(
    json,
    update.map((value) => JSON.stringify(value)),
    fc.string({ unit: 'binary' }),
    fc.constant('{}'),
  )

  it('of any body, in any pieces: recorded once, and answered by what the body is', async () => {
    await fc.assert(
      fc.asyncProperty(body, cuts, fc.boolean(), async (text, places, chunked) => {
        const before = await recorded()
        const bytes = Buffer.from(text)
        const headers = { connection: 'close', ...signed(service.secret, bytes.toString(), newMessageId()) }
        const pieces = cut(bytes, places)
        const sent = chunked
          ? [
              head({ ...headers, 'transfer-encoding': 'chunked' }),
              ...pieces.filter((piece) => piece.length > 0).map(asChunk),
              '0\r\n\r\n',
            ]
          : [head({ ...headers, 'content-length': String(bytes.length) }), ...pieces]
        expect(statuses(await exchange(sent, 'wait'))).toEqual([isAcceptable(bytes.toString()) ? 200 : 400])
        expect(await recorded()).toBe(before + 1)
      }),
      options,
    )
  })

  it('many in one write: answers in order, up to the first request that did not wait for one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('good', 'forged', 'large'), { minLength: 1, maxLength: 8 }),
        cuts,
        async (kinds, places) => {
          const requests = kinds.map((kind, index) => {
            const text = '{"success":true}'
            const last = index === kinds.length - 1 ? { connection: 'close' } : {}
            const headers = { ...signed(service.secret, text), 'content-length': String(text.length), ...last }
            if (kind === 'large') return `${head({ ...headers, 'content-length': '99999999' })}`
            return head(kind === 'forged' ? { ...headers, 'svix-id': 'x' } : headers) + text
          })
          const answered = statuses(await exchange(cut(Buffer.from(requests.join('')), places), 'wait'))
          const expected = kinds.map((kind) => ({ good: 200, forged: 401, large: 413 })[kind])
          // How the pieces arrive decides who did not wait; a reset connection can take the first answer with it.
          expect(answered).toEqual(expected.slice(0, answered.length))
          if (kinds.length === 1) expect(answered).toEqual(expected)
        },
      ),
      options,
    )
  })

  it('cut off anywhere: nothing recorded, and no harm done', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        fc.constantFrom('half-close' as const, 'hang up' as const),
        async (part, then) => {
          const before = await recorded()
          const text = JSON.stringify({ success: 'x'.repeat(500) })
          const whole = head({ ...signed(service.secret, text), 'content-length': String(text.length) }) + text
          const answer = await exchange([whole.slice(0, Math.floor(part * whole.length))], then)
          for (const status of statuses(answer)) expect(status).toBeLessThan(500)
          expect(await recorded()).toBe(before)
        },
      ),
      options,
    )
  })
})

function asChunk(piece: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
}

/** What the contract says of a body, written anew. */
function isAcceptable(text: string): boolean {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return false
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  if (!Object.keys(value).includes('job_id')) return true
  const { job_id, status } = value as { job_id: unknown; status: unknown }
  const goodId =
    typeof job_id === 'string' && job_id.length >= 1 && job_id.length <= 128 && !/[^A-Za-z0-9_-]/.test(job_id)
  return goodId && typeof status === 'string' && status.length >= 1 && status.length <= 64
}
