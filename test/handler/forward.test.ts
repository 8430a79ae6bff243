import { createHash, createHmac, randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Webhook } from 'svix'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createForward, type ForwardOptions } from '../../src/handler/forward.ts'
import { createLinks } from '../../src/handler/links.ts'
import { parseLossless } from '../../src/lossless-json.ts'
import type { JobRecord } from '../../src/results/record.ts'
import { newSecret } from '../../src/signing.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { freePort } from '../support/port.ts'
import { delivery, event, testService } from '../support/service.ts'
import { type Behaviour, handOverContract, savedResult, staysFlat } from './contract.ts'

type Call = { readonly headers: IncomingMessage['headers']; readonly body: string; readonly path: string }
type Receiver = { readonly url: string; readonly calls: Call[]; answer(...next: Answer[]): void }
type Answer = { status: number; headers?: Record<string, string>; body?: string; hangs?: boolean } | 'hang'

/** The user's service. */
async function receiver(): Promise<Receiver> {
  const calls: Call[] = []
  const answers: Answer[] = []
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString()
    calls.push({ headers: request.headers, body, path: request.url! })
    const answer = answers.shift() ?? { status: 204 }
    if (answer === 'hang') return
    response.writeHead(answer.status, answer.headers)
    if (answer.hangs) response.write(answer.body ?? ' ')
    else response.end(answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?tenant=7`
  return { url, calls, answer: (...next) => void answers.push(...next) }
}

const secret = newSecret()
const API_KEY = 'rk_live_0123456789'
const ANSWERS: Record<Behaviour, Answer> = { take: { status: 200 }, fail: { status: 500 }, hang: 'hang' }

const links = createLinks('https://receiver.example', randomBytes(32))
const scrub = createScrub([secret, API_KEY])

function forwardTo(options: Partial<ForwardOptions> & Pick<ForwardOptions, 'url' | 'results'>) {
  return createForward({ secrets: [secret], timeout: 10_000, links, now: Date.now, scrub, ...options })
}

handOverContract('a forward', async ({ results, timeout, scrub }) => {
  const { url, calls, answer } = await receiver()
  const handOver = forwardTo({ url, timeout, results, scrub })
  return {
    handOver,
    behave: (...next) => answer(...next.map((behaviour) => ANSWERS[behaviour])),
    calls: () => calls.map(({ body }) => JSON.parse(body).job_id as string),
  }
})

describe('a forward', () => {
  const forEver = new AbortController().signal

  async function open(job?: string, options: Partial<ForwardOptions> = {}, change: Partial<JobRecord> = {}) {
    const saved = await savedResult('job-1', change, job)
    const to = await receiver()
    const handOver = forwardTo({ url: to.url, results: saved.results, ...options })
    return {
      ...to,
      root: saved.root,
      handOver: (round = 1, attempt = 1) => handOver({ record: saved.record, round, attempt }, forEver),
    }
  }

  it('is verified with the real library, with every secret while one is rotated', async () => {
    const older = newSecret()
    const { handOver, calls } = await open(undefined, { secrets: [secret, older] })
    await handOver()
    const { body, headers, path } = calls[0]!
    for (const known of [secret, older]) new Webhook(known).verify(body, headers as Record<string, string>)
    expect(() => new Webhook(newSecret()).verify(body, headers as Record<string, string>)).toThrow()
    expect(path).toBe('/hook?tenant=7')
    expect(headers['svix-id']).toBeUndefined()
  })

  it('has one id for all attempts of a round, and another for the next round', async () => {
    const { handOver, calls } = await open()
    for (const [round, attempt] of [
      [1, 1],
      [1, 2],
      [2, 1],
    ] as const)
      await handOver(round, attempt)
    const ids = calls.map(({ headers }) => headers['webhook-id'])
    expect(ids[0]).toBe(ids[1])
    expect(ids[2]).not.toBe(ids[0])
  })

  it('carries the answer itself up to 1 MiB, with the digits of its numbers', async () => {
    const small = await open('{"status":"Completed","result":{"id":12345678901234567890,"total":1.10}}')
    await small.handOver()
    expect(small.calls[0]!.body).toContain(
      '"content":{"status":"Completed","result":{"id":12345678901234567890,"total":1.10}}',
    )
    const large = await open(JSON.stringify({ text: 'x'.repeat(1024 * 1024) }))
    await large.handOver()
    expect(JSON.parse(large.calls[0]!.body).job).not.toHaveProperty('content')
  })

  it('is verified when it is large, as when it is small', async () => {
    for (const size of [10, 16 * 1024, 1024 * 1024 - 100]) {
      const { handOver, calls } = await open(JSON.stringify({ text: 'ä'.repeat(size / 2) }))
      expect(await handOver()).toEqual({ is: 'taken' })
      const { body, headers } = calls[0]!
      expect(() => new Webhook(secret).verify(body, headers as Record<string, string>), String(size)).not.toThrow()
    }
  })

  it('carries the saved text as it is, to the byte, with whatever space and order it has', async () => {
    const text = '{ "status":"Completed",\n\t"b":1.0e2, "a" : [ -0, "\\u00e4ä\\/" , 1E400 ],"a":{} }'
    const { handOver, calls } = await open(text, {}, { metadata: { price: 10, list: [null] } })
    await handOver()
    expect(calls[0]!.body).toContain(`"content":${text}}`)
    expect(JSON.parse(calls[0]!.body)).toMatchObject({ job_id: 'job-1', metadata: { price: 10, list: [null] } })
  })

  it('carries byte order marks and replacement characters that are part of a text', async () => {
    const text = '{"\uFEFFa":"\uFEFF\uFFFD"}'
    const { handOver, calls } = await open(text)
    await handOver()
    expect(calls[0]!.body).toContain(`"content":${text}}`)
  })

  it('carries the digits of the numbers of its metadata', async () => {
    const metadata = parseLossless('{"price":10.0,"id":12345678901234567890}')
    const { handOver, calls } = await open(undefined, {}, { metadata })
    await handOver()
    expect(calls[0]!.body).toContain('"metadata":{"price":10.0,"id":12345678901234567890}')
  })

  it.each([
    ['NaN in it', Buffer.from('{"a":NaN}')],
    ['half of it', Buffer.from('{"a":')],
    ['two values', Buffer.from('{}{}')],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['half a character at its end', Buffer.from([0x22, 0xe2, 0x82])],
    ['half a surrogate pair', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    // Within the body it would be no JSON, and without it not the saved text.
    ['a byte order mark in front', Buffer.from('\uFEFF{"a":1}')],
    ['a byte order mark behind', Buffer.from('{"a":1}\uFEFF')],
    ['text as UTF-16', Buffer.from('\uFEFF{"a":1}', 'utf16le')],
    ['nothing', Buffer.alloc(0)],
    ['more than the record says', Buffer.from(JSON.stringify('x'.repeat(1024 * 1024)))],
  ])('carries the link alone of a saved answer with %s', async (_, bytes) => {
    const { handOver, calls, root } = await open()
    writeFileSync(join(root, 'job-1', 'job.json'), bytes)
    expect(await handOver()).toEqual({ is: 'taken' })
    const { job } = JSON.parse(calls[0]!.body)
    expect(job).not.toHaveProperty('content')
    expect(job.url).toContain('/results/job-1/job.json?')
  })

  it('is not parsed while deliveries are waiting: others get their turn', async () => {
    const text = `[${'{},'.repeat(300_000)}1]`
    const { handOver } = await open(text)
    let turns = 0
    const count = setInterval(() => turns++, 0)
    await handOver()
    clearInterval(count)
    expect(turns).toBeGreaterThan(5)
  })

  it('scrubs the reason that Reducto gave, whatever was saved', async () => {
    const reason = `cannot read https://b.example/k?X-Amz-Signature=SENTINEL with ${API_KEY}`
    const { handOver, calls } = await open(undefined, {}, { status: 'Failed', reason })
    await handOver()
    expect(JSON.parse(calls[0]!.body).reason).toBe('cannot read https://b.example/k with [secret]')
  })

  it('says so when the saved answer cannot be read, and does not blame the other side', async () => {
    const { handOver, root, calls } = await open()
    rmSync(join(root, 'job-1', 'job.json'))
    const message = 'the saved result cannot be read: the saved file job.json is gone'
    expect(await handOver()).toEqual({ is: 'retry', reason: { code: 'saved_file', message } })
    expect(calls).toEqual([])
  })
})

describe('the answer to a forward', () => {
  const forEver = new AbortController().signal

  async function answered(answer: Answer, options: Partial<ForwardOptions> = {}) {
    const { record, results } = await savedResult('job-1')
    const to = await receiver()
    to.answer(answer)
    const handed = await forwardTo({ url: to.url, results, ...options })({ record, round: 1, attempt: 1 }, forEver)
    return { handed, calls: to.calls }
  }

  it('tells its beginning in the reason', async () => {
    const body = '{"error":"no such customer",\r\n "id": 7}'
    expect((await answered({ status: 500, body })).handed).toEqual({
      is: 'retry',
      reason: { code: 'forward_500', message: 'FORWARD_URL answered 500: {"error":"no such customer", "id": 7}' },
    })
  })

  it('of 200 characters, without control characters, secrets and links', async () => {
    const body = `\x1b[31mno\x00 ${API_KEY} https://h.example/k?sig=SENTINEL for tenant=7 ${'x'.repeat(100_000)}`
    const { handed } = await answered({ status: 500, body })
    expect(handed).toMatchObject({
      reason: {
        message: expect.stringMatching(
          /^FORWARD_URL answered 500: no \[secret\] https:\/\/h.example\/k for \[secret\] x{140,180}…$/,
        ),
      },
    })
  })

  it.each([410, 422])('%i refuses the result for good', async (status) => {
    expect((await answered({ status, body: 'no such tenant' })).handed).toEqual({
      is: 'refused',
      reason: { code: `forward_${status}`, message: `FORWARD_URL answered ${status}: no such tenant` },
    })
  })

  it.each([400, 401, 404, 409, 429, 500, 503])('%i is tried again', async (status) => {
    expect((await answered({ status })).handed).toEqual({
      is: 'retry',
      reason: { code: `forward_${status}`, message: `FORWARD_URL answered ${status}` },
    })
  })

  it('that is a redirect is not followed, and its target is named', async () => {
    const { handed, calls } = await answered({
      status: 308,
      headers: { location: '/new/hook?tenant=7&token=SENTINEL' },
    })
    expect(handed).toMatchObject({
      is: 'retry',
      reason: {
        code: 'forward_308',
        message: expect.stringMatching(
          /^FORWARD_URL answered 308, a redirect: give FORWARD_URL its target, http:\/\/127\.0\.0\.1:\d+\/new\/hook$/,
        ),
      },
    })
    expect(calls).toHaveLength(1)
    expect((await answered({ status: 302, headers: { location: 'http://' } })).handed).toMatchObject({
      reason: { message: 'FORWARD_URL answered 302, a redirect: give FORWARD_URL its target' },
    })
  })

  it('may say when to come back', async () => {
    expect((await answered({ status: 429, headers: { 'retry-after': '30' } })).handed).toMatchObject({ after: 30_000 })
    const now = () => Date.parse('2026-01-01T00:00:00Z')
    const headers = { 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' }
    expect((await answered({ status: 503, headers }, { now })).handed).toMatchObject({ is: 'retry', after: 60_000 })
  })

  it('counts as soon as its head is there, though the body hangs', async () => {
    expect((await answered({ status: 200, hangs: true })).handed).toEqual({ is: 'taken' })
    const refused = await answered({ status: 422, hangs: true, body: 'no such' }, { timeout: 300 })
    expect(refused.handed).toEqual({
      is: 'refused',
      reason: { code: 'forward_422', message: 'FORWARD_URL answered 422: no such' },
    })
  })

  it('is read no further than it is told', async () => {
    let sent = 0
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent++
        controller.enqueue(new Uint8Array(1024).fill(0x78))
      },
    })
    const fetch = async () => new Response(stream, { status: 500 })
    const { handed } = await answered({ status: 500 }, { fetch })
    expect(handed).toMatchObject({ reason: { message: /^FORWARD_URL answered 500: x+…$/ } })
    expect(sent).toBeLessThan(10)
  })
})

describe('a forward that reaches nobody', () => {
  const forEver = new AbortController().signal

  async function reason(url: string, options: Partial<ForwardOptions> = {}) {
    const { record, results } = await savedResult('job-1')
    const handed = await forwardTo({ url, results, ...options })({ record, round: 1, attempt: 1 }, forEver)
    expect(handed).toMatchObject({ is: 'retry', reason: { code: 'forward' } })
    return 'reason' in handed ? handed.reason.message : ''
  }

  it('names the code', async () => {
    expect(await reason(`http://127.0.0.1:${await freePort()}/?token=SENTINEL`)).toBe(
      'FORWARD_URL cannot be reached: ECONNREFUSED',
    )
    expect(await reason('http://nobody.invalid/hook?SENTINEL')).toMatch(/cannot be reached: E[A-Z_]+$/)
  })

  it('never tells the query of its URL, which may hold a token, nor who signs in', async () => {
    const url = 'http://u:SENTINEL1@127.0.0.1:1/hook?SENTINEL2&key=SENTINEL3#x'
    const failing = [
      undefined,
      async () => Promise.reject(new TypeError(`Failed to parse URL from ${url}`)),
      async () => Promise.reject(new Error('fetch failed', { cause: new Error(`no route: SENTINEL2 SENTINEL3`) })),
      async () => Promise.reject(`GET "/hook" with SENTINEL3`),
    ]
    for (const fetch of failing) expect(await reason(url, fetch ? { fetch } : {})).not.toContain('SENTINEL')
  })
})

it('nothing of 10,000 forwards stays, neither a listener nor memory', async () => {
  const { record, results } = await savedResult('job-1')
  const answers = [() => new Response(null, { status: 204 }), () => new Response('no', { status: 500 })]
  let calls = 0
  const fetch = async () => answers[calls++ % 2]!()
  await staysFlat(forwardTo({ url: 'http://127.0.0.1:9/', results, fetch, secrets: [secret] }), record)
})

describe('the whole service, forwarding', () => {
  async function forwarded() {
    const to = await receiver()
    const on = await testService({
      env: { FORWARD_URL: to.url, FORWARD_SECRET: secret, PUBLIC_URL: 'http://127.0.0.1:9' },
    })
    const large = Buffer.alloc(3 * 1024 * 1024, 'x')
    const jobId = on.reducto.addJob({
      document: (storage) => {
        storage.put('evil.html', { contentType: 'text/html', body: large })
        return { type: 'Edit', result: { document_url: storage.link('evil.html') } }
      },
    })
    const settled = event(on.events, 'settled', ({ stage }) => stage === 'hand_over')
    await on.inbox.accept(delivery(jobId))
    expect(await settled).toMatchObject({ state: 'done', stage: 'hand_over' })
    const record = JSON.parse(to.calls[0]!.body)
    // The links begin with PUBLIC_URL; here no proxy leads from there to the service.
    const follow = (url: string, init?: RequestInit) => fetch(url.replace('http://127.0.0.1:9', on.url), init)
    return { record, follow, large, jobId, on }
  }

  it('gives the files of a result to whoever follows the links, and lets nothing of them run', async () => {
    const { record, follow, large } = await forwarded()
    const job = await follow(record.job.url)
    expect(await job.json()).toEqual(record.job.content)
    const files = await follow(record.files.url)
    const entry = JSON.parse(await files.text())
    expect(entry).toMatchObject({ pointer: '/result/document_url', bytes: large.length, url: expect.any(String) })
    const file = await follow(entry.url)
    const content = Buffer.from(await file.arrayBuffer())
    expect(createHash('sha256').update(content).digest('hex')).toBe(entry.sha256)
    expect(Object.fromEntries(file.headers)).toMatchObject({
      'content-length': String(large.length),
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox'),
    })
    const head = await follow(entry.url, { method: 'HEAD' })
    expect(head.headers.get('content-length')).toBe(String(large.length))
  })

  it('refuses links that were made up, and says when a file is gone', async () => {
    const { record, follow, on, jobId } = await forwarded()
    for (const url of [
      record.job.url.replace('job.json', 'record.json'),
      record.job.url.replace(/signature=.*/, ''),
      record.job.url.replace('job.json', '../../../etc/passwd'),
      record.job.url.replace('expires=', 'expires=9'),
    ]) {
      const answer = await follow(url)
      expect([403, 404], url).toContain(answer.status)
    }
    await on.results.remove(jobId, new AbortController().signal)
    expect((await follow(record.job.url)).status).toBe(404)
  })

  it('gives no file to who has the secret of the forwards, and nothing outside of a result to anybody', async () => {
    const { jobId, on } = await forwarded()
    const expires = Math.floor(Date.now() / 1000) + 3_600
    const key = createHmac('sha256', secret).update('links to saved results').digest()
    for (const [job, path, encoded] of [
      [jobId, 'job.json', `${jobId}/job.json`],
      ['../../../../proc', 'self/environ', '..%2F..%2F..%2F..%2Fproc/self/environ'],
    ] as const) {
      const signature = createHmac('sha256', key).update(`${job}\n${path}\n${expires}`).digest('base64url')
      const answer = await fetch(`${on.url}/results/${encoded}?expires=${expires}&signature=${signature}`)
      expect([403, 404]).toContain(answer.status)
      expect(await answer.text()).not.toContain('PATH=')
    }
  })

  it('makes a job dead that the other side refuses for good, and says why', async () => {
    const to = await receiver()
    to.answer({ status: 422, body: 'no such tenant' })
    const on = await testService({
      env: { FORWARD_URL: to.url, FORWARD_SECRET: secret, PUBLIC_URL: 'http://127.0.0.1:9' },
    })
    const settled = event(on.events, 'settled', ({ stage }) => stage === 'hand_over')
    await on.inbox.accept(delivery(on.reducto.addJob()))
    expect(await settled).toMatchObject({
      state: 'dead',
      outcome: { reason: { code: 'forward_422', message: 'FORWARD_URL answered 422: no such tenant' } },
    })
  })

  it('has no such route without FORWARD_URL', async () => {
    const on = await testService()
    expect((await fetch(`${on.url}/results/job-1/job.json?expires=1&signature=x`)).status).toBe(404)
  })
})
