import { describe, expect, it, onTestFinished } from 'vitest'
import { DocumentCrashed, NotJson, ReadInterrupted } from '../../src/answer/errors.ts'
import { createScanThread, type DocumentScan, type Role } from '../../src/answer/scan-thread.ts'

const PIECE = 64 * 1024
const MIB = 1024 * 1024

function open(options: Parameters<typeof createScanThread>[0] = {}) {
  const scanner = createScanThread(options)
  onTestFinished(() => scanner.close())
  return scanner
}

async function write(document: DocumentScan, text: string): Promise<void> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += PIECE) await document.write(bytes.subarray(at, at + PIECE))
}

async function read(scanner: ReturnType<typeof createScanThread>, text: string, role: Role = 'Parse.result') {
  const document = scanner.scan(role)
  await write(document, text)
  return document.end()
}

const chunk = (index: number, url = `https://a.example/${index}`) => `{"blocks":[{"image_url":"${url}"}]}`
const chunks = (count: number, url?: string) =>
  `[${Array.from({ length: count }, (_, index) => chunk(index, url)).join()}]`
const large = `[{"content":"${'x'.repeat(MIB)}"}]`

describe('a scan', () => {
  it.each([10, 8_000])('reads the same inline and on a thread: %i links', async (count) => {
    const { links, lacks } = await read(open(), chunks(count))
    expect(links).toHaveLength(count)
    expect(links.at(-1)).toMatchObject({
      pointer: `/${count - 1}/blocks/0/image_url`,
      url: `https://a.example/${count - 1}`,
    })
    expect(lacks).toBeNull()
  })

  it('leaves the event loop free while a large document is read, and while many links come back', async () => {
    const document = open().scan('Parse.result')
    const pieces = 24 * 16
    let turns = 0
    const write = (text: string | Buffer) => {
      setImmediate(() => turns++)
      return document.write(Buffer.from(text))
    }
    await write('[{"content":"')
    for (let piece = 0; piece < pieces; piece++) await write(Buffer.alloc(PIECE, 'x"},{"content":"x'))
    await write(`"},${chunks(10_000).slice(1)}`)
    // The loop turned for nearly every piece; two may be under way.
    expect(turns).toBeGreaterThan(pieces / 2)
    turns = 0
    let isRead = false
    const count = () => {
      turns++
      if (!isRead) setImmediate(count)
    }
    setImmediate(count)
    const { links } = await document.end()
    isRead = true
    expect(links).toHaveLength(10_000)
    // And between the portions of a thousand links.
    expect(turns).toBeGreaterThan(9)
  })

  it.each([
    ['small', '{"a":NaN}'],
    ['large', `${large}]`],
  ])('takes the rest after an error, and tells it at the end: %s', async (_size, text) => {
    const scanner = open()
    for (const role of ['job', 'Parse.result', 'Extract.response'] as const) {
      const document = scanner.scan(role)
      await write(document, text)
      for (let piece = 0; piece < 20; piece++) await document.write(Buffer.alloc(PIECE, ']'))
      await expect(document.end()).rejects.toThrow(NotJson)
      await expect(document.end()).rejects.toThrow(/byte \d+/)
      document.drop()
    }
  })

  it('what a link of an unknown kind, or of an edit, leads to need not be JSON', async () => {
    const scanner = open()
    const other = { isJson: false, links: [], lacks: null, status: null, type: null, reason: null }
    for (const text of ['# A heading\n', '%PDF-1.4\n%\u00E2', '<html>', `# ${'x'.repeat(MIB)}`, '{"a":1}\n{"a":2}'])
      for (const role of ['Unknown.response', 'Unknown.result', 'Unknown.values', 'Edit.response'] as const)
        expect(await read(scanner, text, role)).toEqual(other)
    await expect(read(scanner, '# A heading', 'Parse.result')).rejects.toThrow(NotJson)
  })

  it('passes over a byte order mark, wherever it is cut', async () => {
    const scanner = open()
    const bytes = Buffer.from(`\uFEFF${chunks(2)}`)
    for (const cut of [0, 1, 2, 3, 4]) {
      const document = scanner.scan('Parse.result')
      await document.write(bytes.subarray(0, cut))
      await document.write(bytes.subarray(cut))
      expect((await document.end()).links).toHaveLength(2)
    }
    expect((await read(scanner, `\uFEFF${chunks(8_000)}`)).links).toHaveLength(8_000)
  })
})

it('a document that is dropped holds up nobody, also while it is written', async () => {
  const scanner = open()
  for (const text of ['[1', large.slice(0, -1)]) {
    const document = scanner.scan('Parse.result')
    await write(document, text)
    const writing = write(document, text)
    document.drop()
    await writing
    await write(document, text)
    await expect(document.end()).rejects.toThrow(ReadInterrupted)
    document.drop()
  }
  const after = scanner.scan('Parse.result')
  await write(after, large)
  const reading = after.end()
  after.drop()
  expect([null, 'dropped']).toContain(
    await reading.then(
      ({ lacks }) => lacks,
      () => 'dropped',
    ),
  )
  expect((await read(scanner, large)).lacks).toBeNull()
})

describe('a document that ends its thread', () => {
  const MEMORY = { oldGenerationMb: 40 }
  // Within all bounds, and more than such a thread has.
  const deadly = chunks(60_000, `https://a.example/${'x'.repeat(700)}`)

  it('is to blame when it was alone, and the next one gets a new thread', async () => {
    const scanner = open(MEMORY)
    for (let time = 1; time <= 2; time++) await expect(read(scanner, deadly)).rejects.toThrow(DocumentCrashed)
    expect((await read(scanner, chunks(8_000))).links).toHaveLength(8_000)
  })

  it('is found among others, and no other is blamed', async () => {
    const scanner = open(MEMORY)
    // More documents than threads: they share.
    const innocent = Array.from({ length: 9 }, () => scanner.scan('Parse.result'))
    for (const document of innocent) await write(document, large.slice(0, -1))
    const first = await read(scanner, deadly).catch((error) => error)
    expect(first).toBeInstanceOf(ReadInterrupted)
    const outcomes = await Promise.all(
      innocent.map(async (document) => {
        await write(document, `,${chunks(1_000).slice(1)}`)
        return document.end().then(
          ({ links }) => links.length,
          (error) => error.name,
        )
      }),
    )
    expect(new Set(outcomes)).toEqual(new Set([1_000, 'ReadInterrupted']))
    // From then on each is alone.
    const more = Array.from({ length: 6 }, () => scanner.scan('Parse.result'))
    for (const document of more) await write(document, large.slice(0, -1))
    await expect(read(scanner, deadly)).rejects.toThrow(DocumentCrashed)
    for (const document of more) {
      await write(document, ']')
      expect((await document.end()).lacks).toBeNull()
    }
  })

  it('closing blames nobody', async () => {
    const scanner = open()
    const document = scanner.scan('Parse.result')
    await write(document, large.slice(0, -1))
    await scanner.close()
    await document.write(Buffer.alloc(PIECE, 'x'))
    await expect(document.end()).rejects.toThrow(ReadInterrupted)
  })
})
