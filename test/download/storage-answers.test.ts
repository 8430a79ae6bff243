import { getEventListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { DownloadError } from '../../src/download/download.ts'
import { downloads, failure, MIB, plain, read, serve, serveRaw, wholeFailure } from './support.ts'

const CONTENT = Buffer.from(
  JSON.stringify(Array.from({ length: 300 }, (_one, at) => ({ number: at * at * 7919, text: 'of a file' }))),
)

const none = (content: Buffer) => content
const twice = (content: Buffer) => gzipSync(gzipSync(content))

/** What a storage says of an object, and how it sends it. */
const ENCODINGS: [header: string | null, send: (content: Buffer) => Buffer][] = [
  [null, none],
  ['', none],
  ['identity', none],
  ['gzip', gzipSync],
  ['GZip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
  ['UTF-8', none],
  ['mystery', none],
  ['aws-chunked', none],
  ['aws-chunked,gzip', gzipSync],
  ['gzip, gzip', twice],
  ['gzip, br', (content) => brotliCompressSync(gzipSync(content))],
]

/** Those that say something and send something else. */
const LIES: [header: string, send: (content: Buffer) => Buffer][] = [
  ['gzip', none],
  ['x-gzip', none],
  ['deflate', none],
  ['br', none],
  ['zstd', none],
  ['gzip, gzip', gzipSync],
  ['br, gzip', gzipSync],
]

const LENGTHS = ['right', 'chunked', 'missing', 'too long', 'too short', 'zero'] as const
const BREAKS = ['none', 'before the head', 'in the head', 'in the body', 'after the body'] as const
const READERS = ['at once', 'late', 'never'] as const

type Case = {
  readonly status: number
  readonly header: string | null
  readonly send: (content: Buffer) => Buffer
  readonly length: (typeof LENGTHS)[number]
  readonly broken: (typeof BREAKS)[number]
  readonly reader: (typeof READERS)[number]
}

const FILE = [200, 203]
const OTHER = [
  201, 202, 204, 205, 206, 207, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 407, 408,
  409, 410, 411, 412, 416, 418, 421, 429, 451, 500, 501, 502, 503, 504, 507, 599,
]

function* cases(statuses: number[], breaks: Case['broken'][], readers: Case['reader'][]): Iterable<Case> {
  for (const status of statuses)
    for (const [header, send] of ENCODINGS)
      for (const length of LENGTHS)
        for (const broken of breaks)
          for (const reader of readers) yield { status, header, send, length, broken, reader }
}

/** The bytes of an answer, and how its connection ends. */
function answerOf({ status, header, send, length, broken }: Case): { bytes: Buffer; end: boolean; reset: boolean } {
  const body = send(CONTENT)
  const lengths = {
    right: body.length,
    chunked: null,
    missing: null,
    'too long': body.length + 9,
    'too short': 9,
    zero: 0,
  }
  const head = [
    `HTTP/1.1 ${status} Some Words`,
    ...(header === null ? [] : [`content-encoding: ${header}`]),
    ...(length === 'chunked' ? ['transfer-encoding: chunked'] : []),
    ...(lengths[length] === null ? [] : [`content-length: ${lengths[length]}`]),
  ].join('\r\n')
  const half = body.subarray(0, body.length >> 1)
  const sent = broken === 'in the body' ? half : body
  const chunk = [Buffer.from(`${sent.length.toString(16)}\r\n`), sent, Buffer.from('\r\n0\r\n\r\n')]
  const chunked = broken === 'in the body' ? chunk.slice(0, 2) : chunk
  const whole = Buffer.concat([Buffer.from(`${head}\r\n\r\n`), ...(length === 'chunked' ? chunked : [sent])])
  if (broken === 'before the head') return { bytes: Buffer.alloc(0), end: true, reset: false }
  if (broken === 'in the head') return { bytes: whole.subarray(0, head.length - 3), end: true, reset: false }
  // What has no length and ends as it should cannot be told from what is whole.
  if (broken === 'in the body') return { bytes: whole, end: true, reset: length === 'missing' }
  return {
    bytes: whole,
    end: broken === 'after the body' || length === 'missing' || length === 'too long',
    reset: false,
  }
}

/** What must come of it: the content, some failure, or (where the storage lies about the length) either. */
function isRight({ status, header, length, broken, reader }: Case, got: Buffer | DownloadError): boolean {
  if (got instanceof DownloadError && got.kind === 'timeout') return false
  if (reader === 'never') return true
  const hasFile = FILE.includes(status)
  const isWhole = ['none', 'after the body'].includes(broken) && ['right', 'chunked', 'missing'].includes(length)
  if (hasFile && isWhole) return got instanceof Buffer && got.equals(CONTENT)
  // A storage that sends more than it announced: what was announced is what there is.
  if (hasFile && length === 'too short' && got instanceof Buffer)
    return got.equals(CONTENT.subarray(0, 9)) && !/gzip|deflate|br|zstd/i.test(header ?? '')
  return got instanceof DownloadError
}

async function run(all: Iterable<Case>): Promise<{ wrong: unknown[]; tried: number }> {
  const list = [...all]
  const { port } = await serveRaw((socket, path) => {
    const { bytes, end, reset } = answerOf(list[Number(path.slice(1))]!)
    if (reset) socket.write(bytes, () => setTimeout(() => socket.resetAndDestroy(), 5))
    else if (end) socket.end(bytes)
    else socket.write(bytes)
  })
  const download = downloads({ answerTimeout: 5_000, idleTimeout: 5_000 })
  const { signal } = new AbortController()
  const wrong: unknown[] = []

  async function tryOne(at: number): Promise<void> {
    const one = list[at]!
    const got = await download(`http://127.0.0.1:${port}/${at}`, { signal, maxBytes: MIB })
      .then(async ({ body }) => {
        if (one.reader === 'late') await delay(20)
        if (one.reader !== 'never') return read(body)
        await body[Symbol.asyncIterator]().return?.()
        return Buffer.alloc(0)
      })
      .catch((error) => error)
    const told = got instanceof Buffer ? `${got.length} bytes` : `${got.name}: ${got.kind} ${got.message}`
    if (!(got instanceof Buffer || got instanceof DownloadError) || !isRight(one, got)) wrong.push({ ...one, told })
  }

  let next = 0
  const lane = async () => {
    while (next < list.length) await tryOne(next++)
  }
  await Promise.all(Array.from({ length: 25 }, lane))
  expect(getEventListeners(signal, 'abort')).toEqual([])
  return { wrong: wrong.slice(0, 10), tried: list.length }
}

describe('no answer of a storage ends the process, and only a whole file counts', () => {
  /** What nothing caught, with the vitest runner's own listeners put aside. */
  function uncaught(): unknown[] {
    const errors: unknown[] = []
    const note = (error: unknown) => void errors.push(error)
    process.on('uncaughtExceptionMonitor', note)
    onTestFinished(() => void process.off('uncaughtExceptionMonitor', note))
    return errors
  }

  it('whatever the encoding, the length, the break and the reader of a file', async () => {
    const errors = uncaught()
    const { wrong, tried } = await run(cases(FILE, [...BREAKS], [...READERS]))
    expect(wrong).toEqual([])
    expect(tried).toBeGreaterThan(2_000)
    expect(errors).toEqual([])
  })

  it('whatever the status', async () => {
    const errors = uncaught()
    const some = OTHER.filter((status) => [204, 206, 304, 400, 404, 500].includes(status))
    const few = [...cases(OTHER, ['none'], ['at once'])].filter(({ length }) =>
      ['right', 'chunked', 'zero'].includes(length),
    )
    const { wrong } = await run([...few, ...cases(some, [...BREAKS], ['late'])])
    expect(wrong).toEqual([])
    expect(errors).toEqual([])
  })
})

describe('an encoding', () => {
  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('%s whose data ends too soon or is damaged is an error', async (encoding, compress) => {
    const whole = compress(CONTENT)
    const damaged = Buffer.from(whole)
    damaged.fill(0xff, Math.max(whole.length >> 1, 64))
    for (const data of [whole.subarray(0, -1), whole.subarray(0, whole.length >> 1), damaged]) {
      const { port } = await serve((_request, response) =>
        response.writeHead(200, { 'content-encoding': encoding, 'content-length': data.length }).end(data),
      )
      const error = await wholeFailure(downloads(), `http://127.0.0.1:${port}/`)
      expect(error).toMatchObject({ kind: 'failed', message: expect.stringContaining(`the ${encoding} data`) })
    }
  })

  const files = {
    json: CONTENT,
    'short json': Buffer.from('[]'),
    word: Buffer.from('hello'),
    letter: Buffer.from('x'),
    '80': Buffer.from('80 days'),
    html: Buffer.from('<html></html>'),
    umlauts: Buffer.from('ä'.repeat(2_000)),
    pdf: Buffer.concat([Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1'), Buffer.alloc(4_000, 7)]),
    png: Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0', 'latin1'),
    jpeg: Buffer.from('\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01', 'latin1'),
    zip: Buffer.concat([Buffer.from('PK\x03\x04\x14\0\x08\x08\x08\0', 'latin1'), Buffer.alloc(4_000, 1)]),
  }

  it.each(LIES)('%s that was never applied is none: the file is taken as it comes', async (header, send) => {
    for (const [name, content] of Object.entries(files)) {
      const { port } = await serve((_request, response) =>
        response.writeHead(200, { 'content-encoding': header }).end(send(content)),
      )
      const got = await downloads()(`http://127.0.0.1:${port}/`, plain)
        .then(({ body }) => read(body))
        .catch(String)
      expect([name, got.toString('latin1' as never)]).toEqual([name, content.toString('latin1')])
    }
  })

  /** What comes of these bytes, sent in pieces that end at each of `cuts`, in words. */
  async function sent(encoding: string, data: Buffer, cuts: readonly number[] = []): Promise<string> {
    const { port } = await serve(async (_request, response) => {
      response.writeHead(200, { 'content-encoding': encoding, 'content-length': data.length })
      const ends = [...cuts, data.length]
      for (const [at, end] of ends.entries())
        await new Promise<void>((resolve) => response.write(data.subarray(ends[at - 1] ?? 0, end), () => resolve()))
      response.end()
    })
    return downloads()(`http://127.0.0.1:${port}/`, plain)
      .then(async ({ body }) => ((await read(body)).equals(CONTENT) ? 'whole' : 'other content'))
      .catch((error) => (error instanceof DownloadError ? error.message : Promise.reject(error)))
  }

  const half = CONTENT.length >> 1
  const parts = [CONTENT.subarray(0, half), CONTENT.subarray(half)] as const

  it.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('%s of several parts is read to its end, wherever its pieces end', async (encoding, compress) => {
    const [first, second] = [compress(parts[0]), compress(parts[1])]
    const data = Buffer.concat([first, second])
    for (const cuts of [[], [first.length - 1], [first.length], [first.length + 1], [first.length + 5]])
      expect([cuts, await sent(encoding, data, cuts)]).toEqual([cuts, 'whole'])
    for (const end of [first.length + 1, first.length + 6, data.length - 1])
      expect([end, await sent(encoding, data.subarray(0, end), [first.length])]).toEqual([end, damage(encoding)])
    for (const end of [first.length + 1, first.length + 6, data.length - 1])
      expect([end, await sent(encoding, data.subarray(0, end))]).toEqual([end, damage(encoding)])
  })

  it('zstd has frames that are to be skipped', async () => {
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4])
    const [first, second] = [zstdCompressSync(parts[0]), zstdCompressSync(parts[1])]
    expect(await sent('zstd', Buffer.concat([skippable, first, skippable, second, skippable]))).toBe('whole')
    expect(await sent('zstd', Buffer.concat([first, second, skippable.subarray(0, -1)]))).toMatch('the zstd data')
  })

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('%s with something else behind its end is damaged', async (encoding, compress) => {
    const data = compress(CONTENT)
    for (const rest of ['more text', 'x', '\0'.repeat(9)])
      for (const cuts of [[], [data.length], [data.length - 1]]) {
        const all = Buffer.concat([data, Buffer.from(rest)])
        expect([rest, cuts, await sent(encoding, all, cuts)]).toEqual([rest, cuts, damage(encoding)])
      }
  })

  function damage(encoding: string): unknown {
    return expect.stringContaining(`the ${encoding} data of the storage is damaged`)
  }

  it('in several headers is one list, and a list has a bound', async () => {
    const { port } = await serve((request, response) => {
      const codings = request.url === '/long' ? Array.from({ length: 5 }, () => 'gzip') : ['gzip', 'br']
      response.setHeader('content-encoding', codings)
      response.end(brotliCompressSync(gzipSync(CONTENT)))
    })
    expect(await read((await downloads()(`http://127.0.0.1:${port}/`, plain)).body)).toEqual(CONTENT)
    expect((await failure(downloads()(`http://127.0.0.1:${port}/long`, plain))).message).toMatch('more than 4 codings')
  })

  it('is undone whatever pieces the data comes in', async () => {
    for (const [header, compress] of [
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
    ] as const) {
      const data = compress(CONTENT)
      const { port } = await serve(async (_request, response) => {
        response.writeHead(200, { 'content-encoding': header })
        for (const byte of data) await new Promise<void>((resolve) => response.write(Buffer.of(byte), () => resolve()))
        response.end()
      })
      expect(await read((await downloads()(`http://127.0.0.1:${port}/`, plain)).body)).toEqual(CONTENT)
    }
  })
})
