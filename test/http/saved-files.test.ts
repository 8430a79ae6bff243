import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createLinks } from '../../src/handler/links.ts'
import { createApp } from '../../src/http/app.ts'
import type { SavedFilesDeps } from '../../src/http/saved-files.ts'
import { listen } from '../../src/http/server.ts'
import { createFileResults } from '../../src/results/file.ts'
import { type Results, ResultsUnavailable } from '../../src/results/results.ts'
import { createS3Results } from '../../src/results/s3.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { recordOf, save } from '../results/contract.ts'
import { faultyS3 } from '../support/faulty-s3.ts'
import { tempFolder } from '../support/temp.ts'

const SENTINEL = 'SENTINEL-of-the-file-system'
const LARGE = 16 * 1024 * 1024
const FILES = [
  { in: 'job.json', pointer: '/result/a\u2028b', path: 'files/1-url.json', content_type: null, bytes: 9, sha256: 'x' },
  { in: 'job.json', pointer: '/result/result', error: 'it was gone' },
  {
    in: 'job.json',
    pointer: '/result/pdf_url',
    path: 'files/2-pdf_url.pdf',
    content_type: null,
    bytes: LARGE,
    sha256: 'x',
  },
]

/** A store with a result, and files around it that nobody may read. */
function savedResult() {
  const root = tempFolder()
  const list = FILES.map((entry) => `${JSON.stringify(entry)}\n`).join('')
  const record = recordOf('job-1', { files: { path: 'files.jsonl', bytes: list.length, count: 3, failed: 1 } })
  for (const folder of ['job-1/files', 'job-2', '.tmp/job-3.1']) mkdirSync(join(root, folder), { recursive: true })
  const write = (path: string, content: string | Buffer) => writeFileSync(join(root, path), content)
  write('job-1/record.json', JSON.stringify(record))
  write('job-1/job.json', '{"status":"Completed"}')
  write('job-1/files.jsonl', list)
  write('job-1/files/1-url.json', '{"a":"b"}')
  write('job-1/files/2-pdf_url.pdf', Buffer.alloc(LARGE, 'x'))
  for (const path of ['job-1/files/9-unnamed', 'job-1/secret', 'secret', 'job-2/job.json', '.tmp/job-3.1/job.json'])
    write(path, SENTINEL)
  // What somebody else's record says is not this job's.
  write('job-2/record.json', JSON.stringify({ ...record, job_id: 'job-9' }))
  return { root, results: createFileResults({ root, minFree: 0 }) }
}

const key = randomBytes(32)
const links = createLinks('http://127.0.0.1:9', key)

async function open(change: Partial<SavedFilesDeps> = {}) {
  const { root, results } = savedResult()
  const events = createEvents()
  const stuck: unknown[] = []
  events.on('failing', (trouble) => stuck.push(trouble))
  const deps: SavedFilesDeps = { results, links: () => links, now: () => 0, ...change }
  const app = createApp({
    receiver: () => null,
    health: () => ({ notReady: [], degraded: [] }),
    events,
    saved: () => deps,
  })
  const server = await listen(app, '127.0.0.1', 0, events)
  onTestFinished(() => server.close(0))
  const url = `http://127.0.0.1:${server.port}`
  return {
    root,
    port: server.port,
    stuck,
    follow: (path: string, init?: RequestInit) =>
      fetch(links.to('job-1', path, 0).replace('http://127.0.0.1:9', url), init),
    /** Sends the path as it is: `fetch` would tidy it up. */
    raw: (path: string, method = 'GET') => rawRequest(server.port, `${method} ${path} HTTP/1.1`),
    /** Whether a file of the store is open in this process. */
    hasOpenFiles: () => openFiles().some((path) => path.startsWith(root)),
  }
}

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)]
    } catch {
      return []
    }
  })
}

function rawRequest(port: number, line: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text }))
    socket.write(`${line}\r\nhost: x\r\nconnection: close\r\n\r\n`)
  })
}

/** `?expires=…&signature=…` as if this service had signed it: whoever has the key can name no other file either. */
function signedQuery(jobId: string, path: string): string {
  const input = JSON.stringify(['saved file', jobId, path, '604800'])
  return `?expires=604800&signature=${createHmac('sha256', key).update(input).digest('base64url')}`
}

describe('saved files', () => {
  it('are those that the record and its list name, and no others, even with a good signature', async () => {
    const { follow, raw } = await open()
    expect(await (await follow('job.json')).text()).toBe('{"status":"Completed"}')
    expect(await (await follow('files/1-url.json')).text()).toBe('{"a":"b"}')
    const good = await raw(`/results/job-1/job.json${signedQuery('job-1', 'job.json')}`)
    expect(good.status).toBe(200)
    for (const path of ['record.json', 'files/9-unnamed', 'secret', 'files', 'files/3-none', 'JOB.JSON'])
      expect((await raw(`/results/job-1/${path}${signedQuery('job-1', path)}`)).status, path).toBe(404)
    for (const job of ['job-2', 'job-3', '.tmp', 'job-3.1', '__proto__', 'constructor'])
      expect((await raw(`/results/${job}/job.json${signedQuery(job, 'job.json')}`)).status, job).toBe(404)
  })

  it.each([
    ['..%2F..%2Fproc', 'self/environ'],
    ['..', 'secret'],
    ['%2e%2e', 'secret'],
    ['.', 'secret'],
    ['%2e', 'job-2/job.json'],
    ['.tmp', 'job-3.1/job.json'],
    ['.tmp%2Fjob-3.1', 'job.json'],
    ['job-1%2F..%2Fjob-2', 'job.json'],
    ['job-1', '..%2Fsecret'],
    ['job-1', '..%5Csecret'],
    ['job-1', '%2e%2e/secret'],
    ['job-1', 'files/..%2F..%2Fsecret'],
    ['job-1', 'files%2F1-url.json'],
    ['job-1', '%2Fetc%2Fpasswd'],
    ['job-1', 'job.json%00'],
    ['job-1', '%00'],
    ['job-1', 'files//1-url.json'],
    ['job-1', 'files/1-url.json/'],
    ['job-1', '/job.json'],
    ['job-1', './job.json'],
    ['job-1', '%252e%252e%252Fsecret'],
    ['job-1', 'job.json%20'],
    ['job-1', '%F0%9F%98%80'],
    ['job-1', 'x'.repeat(8_000)],
    ['job-1', `${'a/'.repeat(3_000)}b`],
    ['job%001', 'job.json'],
    ['x'.repeat(129), 'job.json'],
    ['job-1%C3%A4', 'job.json'],
  ])('odd ids and paths are 404: %s %s', async (job, path) => {
    const { raw, stuck } = await open()
    const decoded = (text: string) => decodeURIComponent(text)
    for (const query of ['', '?expires=604800&signature=x', signedQuery(decoded(job), decoded(path))]) {
      const { status, text } = await raw(`/results/${job}/${path}${query}`)
      expect(status).toBe(404)
      expect(text).not.toContain(SENTINEL)
    }
    expect(stuck).toEqual([])
  })

  it('are never given to queries that say things twice or in lists', async () => {
    const { raw } = await open()
    const query = signedQuery('job-1', 'job.json').slice(1)
    for (const odd of [`${query}&${query}`, `${query}&expires=1`, `${query}&signature=x`])
      expect((await raw(`/results/job-1/job.json?${odd}`)).status, odd).toBe(404)
    for (const odd of [
      '',
      'expires[]=604800',
      query.replace('expires', 'expires[a]'),
      query.replace('604800', '604801'),
    ])
      expect((await raw(`/results/job-1/job.json?${odd}`)).status, odd).toBe(403)
  })

  it('whatever is asked for, is a file of the result or a 4xx, and never a stack', async () => {
    const { raw, stuck } = await open()
    const piece = fc.constantFrom(
      ...[
        'job-1',
        'job.json',
        'files',
        '..',
        '.',
        '/',
        '%2F',
        '%2e',
        '%00',
        '%',
        '%ff',
        '%c0%ae',
        '\\',
        '?',
        '&',
        '=',
        '#',
        ';',
      ],
      ...['expires', 'signature', '604800', '[]', '__proto__', 'secret', '1-url.json', '%25'],
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.boolean(), async (pieces, signed) => {
        const query = signed ? signedQuery('job-1', 'job.json') : ''
        const { status, text } = await raw(`/results/${pieces.join('')}${query}`)
        expect([200, 400, 403, 404]).toContain(status)
        expect(text).not.toContain(SENTINEL)
        expect(text).not.toMatch(/\bat .*:\d+:\d+/)
      }),
      { numRuns: 400 },
    )
    expect(stuck).toEqual([])
  })

  it('have a list with a link for each line, also where a name holds what looks like a line break', async () => {
    const { follow } = await open()
    const response = await follow('files.jsonl')
    expect(response.headers.get('content-type')).toBe('application/jsonl')
    const lines = (await response.text()).split('\n')
    expect(lines.pop()).toBe('')
    const entries = lines.map((line) => JSON.parse(line))
    expect(entries.map(({ url: _, ...entry }) => entry)).toEqual(FILES)
    expect(entries.map(({ url }) => url)).toEqual([
      links.to('job-1', 'files/1-url.json', 0),
      undefined,
      links.to('job-1', 'files/2-pdf_url.pdf', 0),
    ])
  })

  it('are found through an old link to their list: it leads to the list as it is now, wherever that is', async () => {
    const s3 = await faultyS3()
    const results = createS3Results({ bucket: 'results', prefix: 'p', region: null, endpoint: s3.endpoint })
    const first = (await save(results, 'job-1', 'answer', { files: { 'a.png': 'a' } }))!
    const old = first.record.files.path
    const { follow, raw } = await open({ results })
    const pathsIn = async (response: Response) =>
      (await response.text())
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { path: string }).path)
    expect(await pathsIn(await follow(old))).toEqual(first.paths)
    // A file that was missing has come: the result has another list.
    const second = (await save(results, 'job-1', 'answer', { token: 2, replace: true, files: { 'b.png': 'b' } }))!
    const now = second.record.files.path
    expect(now).not.toBe(old)
    expect(s3.objects.has(`p/job-1/${old}`)).toBe(false)
    for (const path of [old, now]) {
      const response = await follow(path)
      expect(response.headers.get('content-type'), path).toBe('application/jsonl')
      expect(await pathsIn(response), path).toEqual(second.paths)
    }
    // Of the old result nothing else is saved any more, and a link is still for one job.
    expect((await follow(first.record.job.path)).status).toBe(404)
    expect((await raw(`/results/job-2/${old}${signedQuery('job-1', old)}`)).status).toBe(403)
  })

  it('answer HEAD without reading', async () => {
    const { follow, hasOpenFiles } = await open()
    const head = await follow('files/2-pdf_url.pdf', { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.headers.get('content-length')).toBe(String(LARGE))
    await expect.poll(hasOpenFiles).toBe(false)
  })

  it('are unavailable, not broken, while the store fails or the key is not there yet', async () => {
    const down = async () => Promise.reject(new ResultsUnavailable('results', `no access ${SENTINEL}`))
    const failing: Partial<Results>[] = [{ record: down }, { open: down }]
    for (const change of failing) {
      const { results } = savedResult()
      const { follow, stuck } = await open({ results: { ...results, ...change } })
      const response = await follow('files/1-url.json')
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).not.toBeNull()
      expect(await response.text()).not.toContain(SENTINEL)
      expect(stuck).toEqual([])
    }
    const { follow } = await open({ links: () => null })
    expect((await follow('job.json')).status).toBe(503)
  })
})

describe('whoever reads a saved file', () => {
  const PATH = 'files/2-pdf_url.pdf'

  /** A client that asks for the large file and reads the beginning. */
  async function reader(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    const url = new URL(links.to('job-1', PATH, 0))
    socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: x\r\n\r\n`)
    await new Promise((resolve) => socket.once('data', resolve))
    socket.pause()
    return socket
  }

  it('and hangs up leaves no open file behind', async () => {
    const { port, hasOpenFiles } = await open()
    const socket = await reader(port)
    expect(hasOpenFiles()).toBe(true)
    socket.destroy()
    await expect.poll(hasOpenFiles).toBe(false)
  })

  it.each(['record', 'open'] as const)(
    'and hangs up while the store hangs ends the call of the store: %s',
    async (call) => {
      const { results } = savedResult()
      const asked = Promise.withResolvers<AbortSignal>()
      const hanging = (...args: unknown[]) => {
        const signal = args.at(-1) as AbortSignal
        asked.resolve(signal)
        return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }
      const { port, stuck } = await open({ results: { ...results, [call]: hanging } })
      const socket = connect(port, '127.0.0.1')
      const url = new URL(links.to('job-1', PATH, 0))
      socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: x\r\n\r\n`)
      const signal = await asked.promise
      const ended = new Promise((resolve) => signal.addEventListener('abort', resolve))
      socket.destroy()
      await ended
      expect(stuck).toEqual([])
    },
  )

  it('and stops reading is cut off, and leaves no open file behind', async () => {
    const { port, hasOpenFiles } = await open({ pace: { period: 100, minBytes: 1 } })
    const socket = await reader(port)
    await expect.poll(hasOpenFiles).toBe(false)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.resume()
    await closed
    expect(socket.bytesRead).toBeLessThan(LARGE)
  })

  it('and takes a little now and then is cut off too', async () => {
    const { port, hasOpenFiles } = await open({ pace: { period: 100, minBytes: LARGE } })
    const socket = await reader(port)
    const sip = setInterval(() => socket.read(1_000), 10)
    onTestFinished(() => clearInterval(sip))
    await expect.poll(hasOpenFiles).toBe(false)
  })

  it('and keeps up gets all of it, however many periods that takes', async () => {
    const { follow } = await open({ pace: { period: 300, minBytes: 1 } })
    const response = await follow(PATH)
    let bytes = 0
    for await (const chunk of response.body!) {
      bytes += chunk.length
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(bytes).toBe(LARGE)
  })

  it('is cut off when the store says nothing any more', async () => {
    const { results } = savedResult()
    let body: Readable | null = null
    const hanging: Results['open'] = async (jobId, path) => {
      if (path !== 'job.json') return results.open(jobId, path)
      body = new Readable({ read() {} })
      body.push('{')
      return { body, bytes: 100 }
    }
    const { follow } = await open({ results: { ...results, open: hanging }, pace: { period: 50, minBytes: 1 } })
    await expect((await follow('job.json')).text()).rejects.toThrow()
    await expect.poll(() => body!.destroyed).toBe(true)
  })
})
