import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { DocumentCrashed, NotJson } from '../../src/answer/errors.ts'
import type { FoundLink, Reading, ScanDocument } from '../../src/answer/scan-thread.ts'
import { type Download, DownloadError } from '../../src/download/download.ts'
import type { FileEntry } from '../../src/results/record.ts'
import type { Draft } from '../../src/results/results.ts'
import { createCollector, MAX_IDLE_MS } from '../../src/worker/collect.ts'
import { ResultTooLarge, Stalled } from '../../src/worker/failures.ts'
import { createHosts } from '../../src/worker/hosts.ts'
import { createBudget, createLinkSaver } from '../../src/worker/save-link.ts'
import { createManualClock } from '../support/manual-clock.ts'

/** How the links of an answer are followed, with a storage, a store and a reader that each test decides. */

const READ: Reading = { status: null, reason: null, type: null, links: [], lacks: null, isJson: true }
const side = (index: number, host = 'files.example'): FoundLink => ({
  pointer: `/result/chunks/0/blocks/${index}/image_url`,
  field: 'image_url',
  url: `https://${host}/${index}.png?signature=1`,
  essential: false,
  contents: null,
})
const essential = (url = 'https://files.example/result.json'): FoundLink => ({
  pointer: '/result/result/url',
  field: 'url',
  url,
  essential: true,
  contents: 'Parse.result' as FoundLink['contents'],
})

type Rig = {
  links: readonly FoundLink[]
  download: Download
  scan?: ScanDocument
  fresh?: () => Promise<readonly FoundLink[] | null>
  maxBytes?: number
  had?: readonly FileEntry[]
}

function rig({ links, download, scan, fresh, maxBytes = 1e9, had = [] }: Rig) {
  const clock = createManualClock()
  const hosts = createHosts()
  const files = new Map<string, Buffer>()
  const draft: Draft = {
    async write(name, source) {
      const body = Buffer.concat(await Array.fromAsync(source))
      files.set(name, body)
      return { path: name, bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') }
    },
    commit: async () => true,
    discard: async () => {},
  }
  const read: ScanDocument = () => ({ write: async () => {}, end: async () => READ, drop() {} })
  const saver = createLinkSaver({ draft, download, scan: scan ?? read, hosts, budget: createBudget(maxBytes, 0) })
  const stopping = new AbortController()
  const root = { path: 'job.json', links }
  const collector = createCollector(
    { root, had, freshLinks: fresh ?? (async () => null), signal: stopping.signal },
    { draft, saver, hosts, clock },
  )
  /** Moves time through the pauses between passes. */
  async function run(): Promise<void> {
    const running = collector.run()
    let isOver = false
    void running
      .catch(() => {})
      .finally(() => {
        isOver = true
      })
    while (!isOver) {
      const pauses = [500, 2_000, 8_000].map((ms) => clock.sleeping(ms).then(() => ms))
      clock.advance(
        await Promise.race([
          running.then(
            () => 0,
            () => 0,
          ),
          ...pauses,
        ]),
      )
    }
    return running
  }
  async function entries(): Promise<FileEntry[]> {
    await collector.list()
    const text = files.get('files.jsonl')!.toString()
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }
  return { clock, hosts, collector, run, entries, stopping }
}

const body = (text = 'bytes') => ({
  contentType: 'image/png',
  body: (async function* () {
    yield Buffer.from(text)
  })(),
})
/** Reads documents by what they are: so that one can lead to another. */
const scanOf =
  (readings: Record<string, () => Partial<Reading>>): ScanDocument =>
  (role) => ({ write: async () => {}, end: async () => ({ ...READ, ...readings[role]?.() }), drop() {} })
const hang = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

describe('a host that does not answer', () => {
  it('is left alone after three timeouts in a row; other hosts are not', async () => {
    const calls: string[] = []
    const links = [...Array.from({ length: 300 }, (_, index) => side(index, 'hangs.example')), side(999)]
    const on = rig({
      links,
      download: async (url) => {
        calls.push(url)
        if (!url.includes('hangs')) return body()
        throw new DownloadError('timeout', 'no answer', { host: 'hangs.example' })
      },
    })
    await on.run()
    // Six are under way at once.
    expect(calls.filter((url) => url.includes('hangs')).length).toBeLessThanOrEqual(8)
    const entries = await on.entries()
    expect(entries).toHaveLength(301)
    expect(entries.filter((entry) => 'error' in entry)).toHaveLength(300)
    expect(await on.collector.list()).toMatchObject({ isComplete: false, isWorthRetrying: true })
  })

  it('is left alone for as long as its Retry-After says, which the next attempt honours', async () => {
    let calls = 0
    const on = rig({
      links: [essential()],
      download: async () => {
        calls++
        throw new DownloadError('failed', 'the storage answered 503', { host: 'files.example', retryAfter: 90_000 })
      },
    })
    await expect(on.run()).rejects.toMatchObject({ name: 'ResultMissing', after: 90_000, isFinal: false })
    expect(calls).toBe(1)
  })
})

it('reads nothing of a host that is left alone, and holds nothing open for it', async () => {
  let open = 0
  const on = rig({
    links: [1, 2, 3].map((index) => ({
      ...essential(),
      pointer: `/result/result/parse/${index}/url`,
      url: `https://files.example/${index}`,
    })),
    scan: () => {
      open++
      let isOpen = true
      return {
        write: async () => {},
        end: async () => READ,
        drop() {
          if (isOpen) open--
          isOpen = false
        },
      }
    },
    download: async () => {
      throw new DownloadError('failed', '503', { host: 'files.example', retryAfter: 1_000 })
    },
  })
  await expect(on.run()).rejects.toMatchObject({ name: 'ResultMissing' })
  expect(open).toBe(0)
})

describe('an attempt without anything new', () => {
  it('ends after ten minutes when a part of the result is missing', async () => {
    const on = rig({ links: [essential()], download: (_url, { signal }) => hang(signal) })
    const running = on.collector.run()
    running.catch(() => {})
    await on.clock.sleeping(MAX_IDLE_MS)
    on.clock.advance(MAX_IDLE_MS)
    await expect(running).rejects.toBeInstanceOf(Stalled)
    expect(await on.entries()).toMatchObject([{ error: expect.any(String) }])
  })

  it('leaves side files for later when the result is there, and lists every one of them', async () => {
    const saved = Promise.withResolvers<void>()
    const on = rig({
      links: [essential(), ...Array.from({ length: 50 }, (_, index) => side(index))],
      download: (url, { signal }) => {
        if (url.includes('result')) return Promise.resolve(body('{}'))
        saved.resolve()
        return hang(signal)
      },
    })
    const running = on.collector.run()
    await saved.promise
    // The result itself has arrived by then.
    await new Promise(setImmediate)
    await on.clock.sleeping(MAX_IDLE_MS)
    on.clock.advance(MAX_IDLE_MS)
    await running
    expect((await on.entries()).filter((entry) => 'error' in entry)).toHaveLength(50)
    expect(await on.collector.list()).toMatchObject({ isComplete: false, isWorthRetrying: true })
  })

  it('ends too when the missing part is behind another one that has arrived', async () => {
    const whole = { ...essential('https://files.example/whole.json'), contents: 'Parse.response' as const }
    const on = rig({
      links: [whole],
      scan: scanOf({ 'Parse.response': () => ({ links: [essential()] }) }),
      download: (url, { signal }) => (url.includes('whole') ? Promise.resolve(body('{}')) : hang(signal)),
    })
    const running = on.collector.run()
    running.catch(() => {})
    await on.clock.sleeping(MAX_IDLE_MS)
    await new Promise(setImmediate)
    on.clock.advance(MAX_IDLE_MS)
    await expect(running).rejects.toBeInstanceOf(Stalled)
  })

  it('is worth another one when a side file failed at first, and was never reached again', async () => {
    let tries = 0
    const hangs = Promise.withResolvers<void>()
    const on = rig({
      links: [side(1)],
      download: (_url, { signal }) => {
        if (++tries === 1) return Promise.reject(new DownloadError('failed', '503', { host: 'files.example' }))
        hangs.resolve()
        return hang(signal)
      },
    })
    const running = on.collector.run()
    await on.clock.sleeping(500)
    on.clock.advance(500)
    await hangs.promise
    on.clock.advance(MAX_IDLE_MS)
    await running
    expect(await on.collector.list()).toMatchObject({ isComplete: false, isWorthRetrying: true })
  })

  it('has looked for the result first: side files that trickle hold up none of it', async () => {
    const order: string[] = []
    const parts = Array.from({ length: 12 }, (_, index) => ({
      ...essential(`https://files.example/part-${index}.json`),
      pointer: `/result/result/parse/${index}/result/url`,
    }))
    const on = rig({
      links: [...Array.from({ length: 20 }, (_, index) => side(index)), ...parts],
      scan: scanOf({ 'Parse.result': () => ({ links: Array.from({ length: 9 }, (_, index) => side(index + 100)) }) }),
      download: async (url) => {
        order.push(url)
        return body('{}')
      },
    })
    await on.run()
    expect(order.slice(0, parts.length).every((url) => url.includes('part-'))).toBe(true)
    expect(await on.collector.list()).toMatchObject({ isComplete: true, files: { count: 20 + 12 + 12 * 9 } })
  })

  it('goes on while parts of the result arrive', async () => {
    const next = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const on = rig({
      links: [essential()],
      download: async () => ({
        contentType: null,
        body: (async function* () {
          for (const { promise } of next) {
            yield Buffer.from('x')
            await promise
          }
        })(),
      }),
    })
    const running = on.collector.run()
    for (const { resolve } of next) {
      await on.clock.sleeping(MAX_IDLE_MS)
      on.clock.advance(MAX_IDLE_MS - 1)
      resolve()
      await new Promise(setImmediate)
    }
    await running
  })
})

describe('links that expire', () => {
  it('on the way: a fresh answer is asked for, and only what is missing is downloaded', async () => {
    const names = Array.from({ length: 120 }, (_, index) => side(index))
    const renewed = names.map((link) => ({ ...link, url: link.url.replace('signature=1', 'signature=2') }))
    const downloads: string[] = []
    let asked = 0
    const on = rig({
      links: names,
      download: async (url) => {
        downloads.push(url)
        if (url.endsWith('=1') && downloads.length > 66)
          throw new DownloadError('expired', 'the storage answered 403', { host: 'files.example' })
        return body()
      },
      fresh: async () => {
        asked++
        return renewed
      },
    })
    await on.run()
    expect(asked).toBe(1)
    expect(downloads).toHaveLength(120 + 54)
    expect(await on.collector.list()).toMatchObject({ isComplete: true, files: { count: 120, failed: 0 } })
  })

  it('and that a purged job cannot renew: what is had is kept', async () => {
    const on = rig({
      links: [essential(), side(1)],
      download: async (url) => {
        if (url.includes('result')) return body('{}')
        throw new DownloadError('expired', 'the storage answered 403', { host: 'files.example' })
      },
      fresh: () => Promise.reject(new Error('Reducto answered 404')),
    })
    await on.run()
    expect(await on.collector.list()).toMatchObject({ isComplete: false, files: { count: 2, failed: 1 } })
  })

  it('within a saved result: it is looked through for fresh ones, and not saved again', async () => {
    const inner = (signature: number) => [{ ...side(1), url: `https://files.example/1.png?signature=${signature}` }]
    let reads = 0
    const downloads: string[] = []
    const on = rig({
      links: [essential()],
      scan: () => ({
        write: async () => {},
        end: async () => ({ ...READ, links: inner(++reads) }),
        drop() {},
      }),
      download: async (url) => {
        downloads.push(url)
        if (url.endsWith('=1')) throw new DownloadError('expired', '403', { host: 'files.example' })
        return body(`version ${downloads.length}`)
      },
      fresh: async () => [essential()],
    })
    await on.run()
    expect(downloads.filter((url) => url.includes('result.json'))).toHaveLength(2)
    expect(await on.collector.list()).toMatchObject({ isComplete: true, files: { count: 2, failed: 0 } })
  })
})

describe('a side file that fails', () => {
  it('of hundreds is tried alone: nothing else is downloaded twice', async () => {
    const downloads: string[] = []
    const inner = Array.from({ length: 300 }, (_, index) => side(index))
    const on = rig({
      links: [essential()],
      scan: scanOf({ 'Parse.result': () => ({ links: inner }) }),
      download: async (url) => {
        downloads.push(url)
        if (url.includes('/7.png')) throw new DownloadError('failed', '503', { host: 'files.example' })
        return body()
      },
    })
    await on.run()
    expect(downloads.filter((url) => url.includes('/7.png'))).toHaveLength(4)
    expect(downloads).toHaveLength(1 + 299 + 4)
    expect(await on.collector.list()).toMatchObject({ files: { count: 301, failed: 1 }, isWorthRetrying: true })
  })

  it('leaves the result as it is when its document cannot be looked through for a fresh link', async () => {
    let reads = 0
    const on = rig({
      links: [essential()],
      scan: scanOf({ 'Parse.result': () => ({ links: [side(1)] }) }),
      download: async (url) => {
        if (url.includes('result.json') && ++reads === 1) return body('{}')
        throw new DownloadError(url.includes('result') ? 'failed' : 'expired', '503', { host: 'files.example' })
      },
      fresh: async () => [essential()],
    })
    await on.run()
    expect(reads).toBeGreaterThan(1)
    expect(await on.collector.list()).toMatchObject({
      isComplete: false,
      isWorthRetrying: true,
      files: { count: 2, failed: 1 },
    })
  })

  it('is added later under a name that no earlier file has', async () => {
    const saved = (number: number, field: string) => ({
      path: `files/${number}-${field}`,
      content_type: null,
      bytes: 1,
      sha256: 'x',
    })
    const part = (index: number): FoundLink => ({
      ...essential(`https://files.example/part-${index}.json`),
      pointer: `/result/result/parse/${index}/url`,
    })
    // Of two documents the images failed; that of the first has come in a later try, under number 7.
    const had: FileEntry[] = [
      { in: 'job.json', pointer: part(0).pointer, ...saved(1, 'url') },
      { in: 'job.json', pointer: part(1).pointer, ...saved(2, 'url') },
      { in: 'files/1-url', pointer: side(1).pointer, ...saved(7, 'image_url.png') },
      { in: 'files/2-url', pointer: side(1).pointer, error: '503' },
    ]
    const on = rig({
      links: [part(0), part(1)],
      had,
      scan: scanOf({ 'Parse.result': () => ({ links: [side(1)] }) }),
      download: async () => body(),
    })
    await on.run()
    const paths = (await on.entries()).map((entry) => ('path' in entry ? entry.path : null))
    expect(paths).not.toContain(null)
    expect(new Set(paths).size).toBe(4)
  })
})

describe('what cannot become a result', () => {
  it('a document that has killed its thread twice', async () => {
    let crashes = 0
    const on = rig({
      links: [essential()],
      download: async () => body('{}'),
      scan: () => ({
        write: async () => {},
        end: () => {
          crashes++
          return Promise.reject(new DocumentCrashed('the document ended the thread that read it'))
        },
        drop() {},
      }),
    })
    await expect(on.run()).rejects.toBeInstanceOf(DocumentCrashed)
    expect(crashes).toBe(2)
  })

  it('a document that is unreadable in another way each time is not believed', async () => {
    let version = 0
    const on = rig({
      links: [essential()],
      download: async () => body(`<html>${++version}`),
      scan: () => ({ write: async () => {}, end: () => Promise.reject(new NotJson('unexpected <')), drop() {} }),
      fresh: async () => [essential()],
    })
    await expect(on.run()).rejects.toMatchObject({ name: 'ResultMissing', isFinal: false })
  })

  it('a link that leads to something without a result', async () => {
    const on = rig({
      links: [essential()],
      download: async () => body('null'),
      scan: () => ({ write: async () => {}, end: async () => ({ ...READ, lacks: 'it is null' }), drop() {} }),
      fresh: async () => [essential()],
    })
    await expect(on.run()).rejects.toMatchObject({ name: 'ResultUnfinished', code: 'no_result' })
  })

  it('more files than there is room for, however small', async () => {
    const links = Array.from({ length: 20_000 }, (_, index) => side(index))
    const on = rig({ links, download: async () => body('x'), maxBytes: 1024 * 1024 })
    await expect(on.run()).rejects.toBeInstanceOf(ResultTooLarge)
  })

  it('a link that no setting could allow', async () => {
    const on = rig({
      links: [essential('ftp://files.example/x')],
      download: async () => {
        throw new DownloadError('never', 'the link is not a URL that can be followed')
      },
    })
    await expect(on.run()).rejects.toMatchObject({ name: 'ResultMissing', isFinal: true })
  })
})

it('gives back what failed tries had taken of the room', async () => {
  let tries = 0
  const on = rig({
    links: [side(1)],
    maxBytes: 10_000,
    download: async () => {
      if (++tries === 3) return body('x'.repeat(5_000))
      return {
        contentType: null,
        body: (async function* () {
          yield Buffer.alloc(8_000)
          throw new DownloadError('failed', 'the download broke off', { host: 'files.example' })
        })(),
      }
    },
  })
  await on.run()
  expect(await on.collector.list()).toMatchObject({ isComplete: true })
})

it('equal URLs share a file, and each pointer has an entry', async () => {
  let downloads = 0
  const twice = [side(1), { ...side(2), url: side(1).url }]
  const on = rig({
    links: twice,
    download: async () => {
      downloads++
      return body()
    },
  })
  await on.run()
  const entries = await on.entries()
  expect(downloads).toBe(1)
  expect(entries.map((entry) => 'path' in entry && entry.path)).toEqual([
    'files/1-image_url.png',
    'files/1-image_url.png',
  ])
  expect(new Set(entries.map(({ pointer }) => pointer)).size).toBe(2)
})

it('ends with its signal, whatever hangs', async () => {
  const on = rig({ links: [essential(), side(1)], download: (_url, { signal }) => hang(signal) })
  const running = on.collector.run()
  on.stopping.abort(new Error('the service stops'))
  await expect(running).rejects.toThrow('the service stops')
})
