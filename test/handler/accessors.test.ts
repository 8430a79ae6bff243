import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createWalkThread } from '../../src/answer/walk-thread.ts'
import { type CompletedResult, Permanent } from '../../src/handler/handler.ts'
import { viewResult } from '../../src/handler/result-view.ts'
import type { JobRecord } from '../../src/results/record.ts'

/** Accessors over saved files as they could lie there, also those that the worker would not have saved. */

type Saved = {
  readonly type: string | null
  readonly files: Readonly<Record<string, unknown>>
  readonly sizes?: Record<string, number>
}
type Link = { readonly in: string; readonly pointer: string; readonly path: string }

const DIGEST = 'x'.repeat(64)
const textOf = (content: unknown) => (typeof content === 'string' ? content : JSON.stringify(content))

function view({ type, files, sizes = {} }: Saved, links: readonly Link[] = [], signal = new AbortController().signal) {
  const bytesOf = (path: string) => sizes[path] ?? Buffer.byteLength(textOf(files[path]))
  const opened: string[] = []
  const lines = links.map((link) =>
    JSON.stringify({ ...link, content_type: null, bytes: bytesOf(link.path), sha256: DIGEST }),
  )
  const all: Record<string, unknown> = { ...files, 'files.jsonl': lines.map((line) => `${line}\n`).join('') }
  const record = {
    version: 1,
    job_id: 'job-1',
    status: 'Completed',
    type,
    job: { path: 'job.json', bytes: bytesOf('job.json') },
    files: { path: 'files.jsonl', count: links.length, bytes: 1, failed: 0 },
  } as unknown as JobRecord
  const walk = createWalkThread()
  onTestFinished(() => walk.close())
  const results = {
    async open(_jobId: string, path: string) {
      opened.push(path)
      const content = all[path]
      if (content === undefined) return null
      const body = content instanceof Readable ? content : Readable.from([Buffer.from(textOf(content))])
      return { body, bytes: sizes[path] ?? Buffer.byteLength(textOf(content)) }
    },
  }
  return { view: viewResult(record, { results, walk }, signal) as CompletedResult, opened }
}

const LINK = { type: 'url', url: 'https://a.example' }
const linked = (pointer: string, path: string, document = 'job.json'): Link => ({ in: document, pointer, path })
const accessors = ['job', 'extracted', 'citations', 'splits', 'rawJob', 'chunks'] as const
const use = (on: CompletedResult, name: (typeof accessors)[number]) =>
  name === 'chunks' ? Array.fromAsync(on.chunks()) : on[name]()

describe('sizes are looked at before anything is read', () => {
  const GB = 1_500_000_000
  it.each(['job', 'extracted', 'citations'] as const)('%s', async (name) => {
    const files = { 'job.json': { type: 'Extract', result: { result: LINK } }, 'files/1-url.json': [] }
    const saved = { type: 'Extract', files, sizes: { 'files/1-url.json': GB } }
    const { view: on, opened } = view(saved, [linked('/result/result/url', 'files/1-url.json')])
    const error = await use(on, name).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Permanent)
    expect((error as Error).message).toMatch(/too large.*chunks\(\).*open\(\)/)
    expect(opened).not.toContain('files/1-url.json')
  })

  it('of the answer, and in sum', async () => {
    const big = view({ type: 'Split', files: { 'job.json': {} }, sizes: { 'job.json': GB } })
    for (const name of ['splits', 'job', 'rawJob'] as const)
      await expect(use(big.view, name)).rejects.toThrow('too large')
    const parse = Array.from({ length: 3 }, () => ({ result: LINK }))
    const files = { 'job.json': { result: { result: { parse } } }, ...{ 'files/0': [], 'files/1': [], 'files/2': [] } }
    const sizes = { 'files/0': 60_000_000, 'files/1': 60_000_000, 'files/2': 60_000_000 }
    const links = parse.map((_, index) => linked(`/result/result/parse/${index}/result/url`, `files/${index}`))
    const several = view({ type: 'Pipeline', files, sizes }, links)
    await expect(several.view.job()).rejects.toThrow('too large')
    expect(several.opened).toContain('files/1')
    expect(several.opened).not.toContain('files/2')
  })
})

describe('links that lead in a circle end with an error', () => {
  const circle = {
    type: 'Parse',
    files: { 'job.json': { result: { result: LINK } }, a: { result: LINK }, b: { result: LINK } },
  }
  const toItself = [linked('/result/result/url', 'a'), linked('/result/url', 'a', 'a')]
  const toEachOther = [
    linked('/result/result/url', 'a'),
    linked('/result/url', 'b', 'a'),
    linked('/result/url', 'a', 'b'),
  ]
  const toTheAnswer = [linked('/result/result/url', 'job.json')]
  it.each([
    ['to itself', toItself],
    ['to each other', toEachOther],
    ['to the answer', toTheAnswer],
  ])('%s', async (_name, links) => {
    for (const name of ['job', 'chunks'] as const)
      await expect(use(view(circle, links).view, name)).rejects.toThrow(/in a circle/)
    const values = view(
      {
        ...circle,
        type: 'Extract',
        files: {
          ...circle.files,
          a: { ...LINK, result: LINK, usage: { num_pages: 1 } },
          b: { ...LINK, result: LINK, usage: { num_pages: 1 } },
        },
      },
      links,
    )
    for (const name of ['extracted', 'citations'] as const)
      await expect(use(values.view, name)).rejects.toThrow(Permanent)
    await expect(view({ ...circle, type: 'Split' }, links).view.splits()).rejects.toThrow(Permanent)
    await expect(view({ ...circle, type: 'Translate' }, links).view.job()).rejects.toThrow(Permanent)
  })

  it('and so does a chain without end', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `f${index}`)
    const files = Object.fromEntries(names.map((name) => [name, { result: LINK }]))
    const links = names.slice(1).map((name, index) => linked('/result/url', name, names[index]))
    const saved = { type: 'Parse', files: { ...files, 'job.json': { result: { result: LINK } } } }
    const { view: on } = view(saved, [linked('/result/result/url', 'f0'), ...links])
    for (const name of ['job', 'chunks'] as const) await expect(use(on, name)).rejects.toThrow(/more than 8 links/)
  })
})

describe('all reading ends with the signal', () => {
  it.each(accessors)('%s', async (name) => {
    const abort = new AbortController()
    // Never ends by itself.
    const body = new Readable({ read() {} })
    const saved = { type: null, files: { 'job.json': body }, sizes: { 'job.json': 10 } }
    const reading = use(view(saved, [], abort.signal).view, name)
    const outcome = expect(reading).rejects.toThrow()
    abort.abort(new Error('time is up'))
    await outcome
    expect(body.destroyed || getEventListeners(abort.signal, 'abort').length === 0).toBe(true)
    await expect(use(view(saved, [], abort.signal).view, name)).rejects.toThrow('time is up')
  })

  it('and so does a stream that the handler opened and left, without an error that nobody handles', async () => {
    const abort = new AbortController()
    const { view: on } = view(
      { type: null, files: { 'job.json': new Readable({ read() {} }) }, sizes: { 'job.json': 1 } },
      [],
      abort.signal,
    )
    const stream = await on.open('job.json')
    const closed = new Promise((resolve) => stream.on('close', resolve))
    abort.abort()
    await closed
    expect(stream.destroyed).toBe(true)
  })

  it('and leaves no listener on it', async () => {
    const { signal } = new AbortController()
    const saved = { type: 'Extract', files: { 'job.json': { result: { result: [{ a: 1 }], citations: null } } } }
    for (let time = 0; time < 20; time++) {
      const { view: on } = view(saved, [], signal)
      for (const name of ['job', 'extracted', 'rawJob'] as const) await use(on, name)
      await Array.fromAsync(on.files())
    }
    // The last stream closes with the next turn.
    await new Promise(setImmediate)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

it('the lines of files.jsonl end at line feeds alone, whatever stands in a pointer', async () => {
  const links = [linked('/result/a\u2028b\u2029c\u0085d/image_url', 'i'), linked('/result/e', 'j')]
  const { view: on } = view({ type: 'Parse', files: { 'job.json': {}, i: 'x', j: 'y' } }, links)
  expect(await Array.fromAsync(on.files())).toMatchObject(links)
})

describe('a byte order mark is no part of the JSON', () => {
  it('in the answer, and behind links', async () => {
    const bom = (value: unknown) => `\uFEFF${JSON.stringify(value)}`
    const files = { 'job.json': bom({ result: { result: LINK, usage: {} } }), r: bom([{ content: 'one' }]) }
    const { view: on } = view({ type: 'Parse', files }, [linked('/result/result/url', 'r')])
    expect(await Array.fromAsync(on.chunks())).toEqual([{ content: 'one' }])
    expect(await on.job()).toEqual({ result: { usage: {}, result: { type: 'full', chunks: [{ content: 'one' }] } } })
  })
})

it('what is not JSON stays a link where the kind is not known, and is named where it is', async () => {
  const files = { 'job.json': { result: { result: LINK } }, r: '# Markdown' }
  const links = [linked('/result/result/url', 'r')]
  expect(await view({ type: 'Translate', files }, links).view.job()).toEqual(files['job.json'])
  for (const name of ['job', 'chunks'] as const) {
    const error = await use(view({ type: 'Parse', files }, links).view, name).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Permanent)
    expect((error as Error).message).toMatch(/^r is not JSON .*open\(\)/)
  }
})

describe('V3’s values', () => {
  const place = { type: 'Text', bbox: { left: 0 } }
  const of = (result: unknown, more: object = {}) =>
    view({ type: 'Extract', files: { 'job.json': { result: { result, ...more } } } }).view
  it.each<[string, unknown, unknown]>([
    ['with one more member', { a: { value: 1, citations: [place], confidence: 0.9 } }, { a: 1 }],
    [
      'with several, and no citations',
      { a: { value: 'x', citations: null, source: { page: 1 }, type: 't' } },
      { a: 'x' },
    ],
    ['in lists, and null', { a: [{ value: null, citations: [], n: 1 }] }, { a: [null] }],
    [
      'of a customer’s field called value',
      { value: { value: 1, citations: [] }, b: { value: 2, citations: [] } },
      { value: 1, b: 2 },
    ],
    [
      'of customers’ fields called value and citations',
      { a: { value: { value: 1, citations: [] }, citations: { value: 'Smith', citations: [] } } },
      { a: { value: 1, citations: 'Smith' } },
    ],
    [
      'of such fields, a list',
      { a: { value: { value: 1, citations: [] }, citations: [{ value: 'Smith', citations: [] }] } },
      { a: { value: 1, citations: ['Smith'] } },
    ],
    [
      'of such fields without citations',
      { a: { value: 3, citations: ['Smith 1999'], more: 1 } },
      { a: { value: 3, citations: ['Smith 1999'], more: 1 } },
    ],
  ])('%s', async (_name, given, expected) => {
    for (const more of [
      {},
      { response_type: 'v3_extract' },
      { response_type: 'v3_extract', citations: null },
      { citations: null },
    ])
      expect(await of(given, more).extracted()).toEqual(expected)
  })

  it('citations are found beside one more member', async () => {
    const fields = { a: { value: 1, citations: [place], confidence: 0.9 } }
    expect(await of(fields).citations()).toEqual([{ pointer: '/a', citations: [place] }])
  })

  it('of the older form stay as they are', async () => {
    const fields = { value: 1, citations: [place] }
    expect(await of([fields], { citations: null, response_type: 'extract' }).extracted()).toEqual(fields)
    expect(await of([fields], { citations: [] }).extracted()).toEqual(fields)
    expect(await of([fields], { citations: null }).extracted()).toEqual(fields)
  })
})

describe('behind a link', () => {
  const behind = (value: unknown, at: 'result' | 'response' = 'result') => {
    const result = at === 'result' ? { result: LINK, citations: null } : LINK
    const pointer = at === 'result' ? '/result/result/url' : '/result/url'
    return view({ type: 'Extract', files: { 'job.json': { result }, r: value } }, [linked(pointer, 'r')]).view
  }
  it.each([
    { result: 'passed', usage: 'indoor' },
    { result: { score: 1 }, usage: { hours: 3 } },
    { result: 'ok', usage: { num_pages: 3 } },
    { result: [1], usage: null },
    { result: null, usage: 'none' },
    { ...LINK, result: LINK, usage: 'x' },
  ])('fields called result and usage are the customer’s: %j', async (fields) => {
    expect(await behind(fields).extracted()).toEqual(fields)
    expect(await behind([fields]).extracted()).toEqual(fields)
    expect(await behind(fields).job()).toEqual({ result: { result: fields, citations: null } })
    const cited = (value: unknown) => ({ value, citations: [] })
    const v3 = { result: cited('passed'), usage: cited('indoor') }
    expect(await behind(v3).extracted()).toEqual({ result: 'passed', usage: 'indoor' })
  })

  it('a response is told by what only Reducto writes', async () => {
    const fields = [{ a: 1 }]
    for (const response of [
      { result: fields, usage: { num_pages: 1 } },
      { result: fields, usage: { num_fields: 1, more: 'x' }, citations: null },
      { result: fields, response_type: 'extract' },
    ]) {
      expect(await behind(response).extracted()).toEqual({ a: 1 })
      expect(await behind(response, 'response').extracted()).toEqual({ a: 1 })
    }
    expect(await behind({ result: fields, citations: null }, 'response').extracted()).toEqual({ a: 1 })
  })
})

it('splits that are only told by their sections', async () => {
  const files = { 'job.json': { result: { result: { section_mapping: { Invoice: [1, 2] } } } } }
  const none = { conf: null, evidence: null, partitions: [] }
  expect(await view({ type: 'Split', files }).view.splits()).toEqual([{ name: 'Invoice', pages: [1, 2], ...none }])
})
