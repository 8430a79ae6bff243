import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'svix'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createForward } from '../../src/handler/forward.ts'
import { createLinks, LIFETIME } from '../../src/handler/links.ts'
import { newSecret } from '../../src/signing.ts'
import { freePort } from '../support/port.ts'
import { delivery, event, testService } from '../support/service.ts'
import { type Behaviour, handOverContract, savedResult } from './contract.ts'

type Call = { readonly headers: IncomingMessage['headers']; readonly body: string; readonly path: string }
type Receiver = { readonly url: string; readonly calls: Call[]; answer(...next: Answer[]): void }
type Answer = { status: number; headers?: Record<string, string> } | 'hang'

/** The user's service. */
async function receiver(): Promise<Receiver> {
  const calls: Call[] = []
  const answers: Answer[] = []
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString()
    calls.push({ headers: request.headers, body, path: request.url! })
    const answer = answers.shift() ?? { status: 204 }
    if (answer !== 'hang') response.writeHead(answer.status, answer.headers).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?tenant=7`
  return { url, calls, answer: (...next) => void answers.push(...next) }
}

const secret = newSecret()
const ANSWERS: Record<Behaviour, Answer> = { take: { status: 200 }, fail: { status: 500 }, hang: 'hang' }

handOverContract('a forward', async ({ results, timeout }) => {
  const { url, calls, answer } = await receiver()
  const links = createLinks('https://receiver.example', [secret])
  const handOver = createForward({ url, secrets: [secret], timeout, results, links, now: Date.now })
  return {
    handOver,
    behave: (...next) => answer(...next.map((behaviour) => ANSWERS[behaviour])),
    calls: () => calls.map(({ body }) => JSON.parse(body).job_id as string),
  }
})

describe('a forward', () => {
  const forEver = new AbortController().signal

  async function open(job?: string, secrets = [secret]) {
    const saved = await savedResult('job-1', {}, job)
    const to = await receiver()
    const links = createLinks('https://receiver.example', secrets)
    const { url } = to
    const handOver = createForward({ url, secrets, timeout: 10_000, results: saved.results, links, now: Date.now })
    return { ...to, handOver: (round = 1, attempt = 1) => handOver({ record: saved.record, round, attempt }, forEver) }
  }

  it('is verified with the real library, with every secret while one is rotated', async () => {
    const older = newSecret()
    const { handOver, calls } = await open(undefined, [secret, older])
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

  it('takes a redirect for a failure, and honours Retry-After', async () => {
    const { handOver, answer, calls } = await open()
    answer({ status: 302, headers: { location: 'https://elsewhere.example/' } })
    expect(await handOver()).toMatchObject({ is: 'retry', reason: { code: 'forward_302', message: /redirect/ } })
    answer({ status: 429, headers: { 'retry-after': '30' } })
    expect(await handOver()).toMatchObject({ is: 'retry', after: 30_000 })
    expect(calls).toHaveLength(2)
  })

  it('says when nobody is there', async () => {
    const { record, results } = await savedResult('job-1')
    const links = createLinks('https://receiver.example', [secret])
    const url = `http://127.0.0.1:${await freePort()}/`
    const handOver = createForward({ url, secrets: [secret], timeout: 1_000, results, links, now: Date.now })
    expect(await handOver({ record, round: 1, attempt: 1 }, forEver)).toMatchObject({
      is: 'retry',
      reason: { code: 'forward', message: 'FORWARD_URL cannot be reached: ECONNREFUSED' },
    })
  })
})

describe('links', () => {
  const links = createLinks('https://receiver.example', [secret])
  const read = (url: string) => {
    const { pathname, searchParams } = new URL(url)
    const [, , jobId = '', ...path] = pathname.split('/')
    const [expires, signature] = ['expires', 'signature'].map((name) => searchParams.get(name)!)
    return { jobId, path: path.map(decodeURIComponent).join('/'), expires: expires!, signature: signature! }
  }

  it('are good for what they name, for seven days', () => {
    const link = read(links.to('job-1', 'files/1-url.json', 0))
    expect(links.isGood(link, LIFETIME)).toBe(true)
    expect(links.isGood(link, LIFETIME + 1)).toBe(false)
    for (const change of [
      { jobId: 'job-2' },
      { path: 'job.json' },
      { expires: `${Number(link.expires) + 1}` },
      { expires: '9e99' },
      { signature: '' },
      { signature: `${link.signature}AA` },
    ])
      expect(links.isGood({ ...link, ...change }, 0), JSON.stringify(change)).toBe(false)
  })

  it('outlive the rotation of the secret', () => {
    const rotated = createLinks('https://receiver.example', [newSecret(), secret])
    expect(rotated.isGood(read(links.to('job-1', 'job.json', 0)), 0)).toBe(true)
    const gone = createLinks('https://receiver.example', [newSecret()])
    expect(gone.isGood(read(links.to('job-1', 'job.json', 0)), 0)).toBe(false)
  })
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
    const settled = event(on.events, 'settled')
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

  it('has no such route without FORWARD_URL', async () => {
    const on = await testService()
    expect((await fetch(`${on.url}/results/job-1/job.json?expires=1&signature=x`)).status).toBe(404)
  })
})
