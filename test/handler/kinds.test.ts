import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createWalkThread } from '../../src/answer/walk-thread.ts'
import type { Chunk, CompletedResult, FileEntry } from '../../src/handler/handler.ts'
import { viewResult } from '../../src/handler/result-view.ts'
import { LACKING, type Variant, WHOLE } from '../../src/simulator/documents/variants.ts'
import type { Storage } from '../../src/simulator/storage.ts'
import { delivery, event, type TestService, testService } from '../support/service.ts'

/**
 * Every kind of result, in every form that it comes in: what expires is saved and found by its pointer, what is data is
 * left alone, and an accessor gives the same whether its part was in the answer or behind links.
 */

/** Makes a document; `link` stores something and links to it. */
type Make = (link: Link) => { readonly type: string | null; readonly result: unknown }
type Link = (name: string, content: unknown) => string

const BBOX = { left: 0.1, top: 0.2, width: 0.5, height: 0.05, page: 1, original_page: 1 }
const USAGE = { num_pages: 3, credits: 3 }
const EXTRACT_USAGE = { ...USAGE, num_fields: 4 }

/** A chunk with every link that a block can have, and everything that only looks like one. */
function chunk(link: Link, index: number): Chunk {
  const content = `Part ${index}: see https://example.com/${index}.pdf`
  const figure = {
    type: 'Figure',
    content,
    bbox: BBOX,
    image_url: link(`figure-${index}.png`, `figure ${index}`),
    chart_data: [link(`chart-${index}.json`, { series: [index] }), link(`legend-${index}.json`, { legend: index })],
    extra: { page_image_url: link(`page-${index}.png`, `page ${index}`), source_url: 'https://example.com/source' },
  } as const
  const inlined = { type: 'Figure', content: '', bbox: BBOX, image_url: 'data:image/png;base64,iVBORw0KGgo=' } as const
  const text = { type: 'Text', content, bbox: BBOX, image_url: null, chart_data: null, extra: null } as const
  return {
    content,
    embed: content,
    enriched: null,
    blocks: [figure, inlined, text] as unknown as Chunk['blocks'],
  }
}

const chunksOf = (link: Link, from = 0) => [chunk(link, from), chunk(link, from + 1)]

function parseHead(link: Link, name = 'document') {
  return {
    job_id: 'p',
    duration: 1,
    usage: USAGE,
    pdf_url: link(`${name}.pdf`, 'pdf'),
    studio_link: 'https://studio/1',
  }
}

const byUrl = (link: Link, name: string, content: unknown) => ({
  type: 'url',
  url: link(name, content),
  result_id: `id-${name}`,
})

const full = (link: Link) => ({ type: 'full', chunks: chunksOf(link), ocr: null, custom: null })

const parse: Record<string, Make> = {
  inline: (link) => ({ type: 'Parse', result: { ...parseHead(link), result: full(link) } }),
  'by URL, a bare array': (link) => ({
    type: 'Parse',
    result: { ...parseHead(link), result: byUrl(link, 'result.json', chunksOf(link)) },
  }),
  'by URL, a full result': (link) => ({
    type: 'Parse',
    result: { ...parseHead(link), result: byUrl(link, 'result.json', full(link)) },
  }),
  'by URL, a whole response': (link) => ({
    type: null,
    result: {
      response_type: 'parse',
      ...parseHead(link),
      result: byUrl(link, 'result.json', { job_id: 'p', duration: 1, usage: USAGE, result: full(link) }),
    },
  }),
}

const FIELDS = {
  number: 'INV-1',
  total: 12.5,
  // Data, though it looks like what is downloaded elsewhere.
  image_url: 'https://supplier.example/logo.png',
  url: 'https://supplier.example/',
  lines: [{ amount: 5 }, { amount: 7.5 }],
}
const PLACE = { type: 'Text', content: '12.50', bbox: BBOX, confidence: 'high', image_url: null }
const CITATIONS = [{ number: [PLACE], total: [PLACE, PLACE], lines: [{ amount: [PLACE] }, { amount: [PLACE] }] }]
const CITED = [
  { pointer: '/number', citations: [PLACE] },
  { pointer: '/total', citations: [PLACE, PLACE] },
  { pointer: '/lines/0/amount', citations: [PLACE] },
  { pointer: '/lines/1/amount', citations: [PLACE] },
]

const classic = { result: [FIELDS], citations: CITATIONS, usage: EXTRACT_USAGE }
const leaf = (value: unknown, places: readonly unknown[] = []) => ({ value, citations: places })
const V3_FIELDS = {
  number: leaf('INV-1', [PLACE]),
  total: leaf(12.5, [PLACE, PLACE]),
  image_url: leaf(FIELDS.image_url),
  url: leaf(FIELDS.url),
  lines: [{ amount: leaf(5, [PLACE]) }, { amount: leaf(7.5, [PLACE]) }],
}
const v3 = { response_type: 'v3_extract', result: V3_FIELDS, usage: EXTRACT_USAGE }

const extract: Record<string, Make> = {
  inline: () => ({ type: 'Extract', result: classic }),
  'by URL, the bare value': (link) => ({
    type: 'Extract',
    result: { ...classic, result: byUrl(link, 'result.json', [FIELDS]) },
  }),
  'by URL, a whole response': (link) => ({
    type: 'Extract',
    result: { citations: null, usage: EXTRACT_USAGE, result: byUrl(link, 'result.json', classic) },
  }),
  'wholly behind a URL': (link) => ({ type: 'Extract', result: byUrl(link, 'result.json', classic) }),
  'V3 inline': () => ({ type: 'Extract', result: v3 }),
  'V3 without response_type': () => ({ type: 'Extract', result: { result: V3_FIELDS, usage: EXTRACT_USAGE } }),
  'V3 as an array': () => ({ type: 'Extract', result: { ...v3, result: [V3_FIELDS] } }),
  'V3 by URL': (link) => ({ type: 'Extract', result: { ...v3, result: byUrl(link, 'result.json', V3_FIELDS) } }),
  'V3 by URL, a whole response': (link) => ({
    type: 'Extract',
    result: { ...v3, result: byUrl(link, 'result.json', v3) },
  }),
}

const SPLITS = [
  { name: 'Invoice', pages: [1, 2], conf: 'high', partitions: [{ name: 'A', pages: [1], conf: 'low' }] },
  { name: 'Terms', pages: [3], conf: 'low', partitions: null },
] as const
const split = { result: { section_mapping: { Invoice: [1, 2], Terms: [3] }, splits: SPLITS }, usage: USAGE }
const EVIDENCE = { page_number: 3, evidence: 'a heading', confidence: 'high' } as const
const deepSplit = {
  result: { splits: [{ name: 'Terms', pages: [EVIDENCE], partitions: [{ name: 'B', pages: [EVIDENCE] }] }] },
  usage: USAGE,
}
const splitUp = [
  {
    name: 'Invoice',
    pages: [1, 2],
    conf: 'high',
    evidence: null,
    partitions: [{ name: 'A', pages: [1], conf: 'low', evidence: null, partitions: [] }],
  },
  { name: 'Terms', pages: [3], conf: 'low', evidence: null, partitions: [] },
]

const splitting: Record<string, Make> = {
  inline: () => ({ type: 'Split', result: split }),
  'by URL': (link) => ({ type: 'Split', result: { ...split, result: byUrl(link, 'result.json', split.result) } }),
  'by URL, a whole response': (link) => ({
    type: 'Split',
    result: { ...split, result: byUrl(link, 'result.json', split) },
  }),
  'wholly behind a URL': (link) => ({ type: 'Split', result: byUrl(link, 'result.json', split) }),
}

const pipelineHead = { response_type: 'pipeline', job_id: 'x', usage: USAGE }
const parts = (name: string, result: unknown) => ({ split_name: name, page_range: [1], result, partition: null })
const pipelineBody = (link: Link, inline: boolean) => ({
  parse: [
    { ...parseHead(link, 'first'), result: inline ? full(link) : byUrl(link, 'first.json', full(link)) },
    {
      ...parseHead(link, 'second'),
      result: inline
        ? { type: 'full', chunks: chunksOf(link, 2) }
        : byUrl(link, 'second.json', { type: 'full', chunks: chunksOf(link, 2) }),
    },
  ],
  extract: [
    parts('Invoice', inline ? classic : { ...classic, result: byUrl(link, 'extract.json', [FIELDS]) }),
    parts('Terms', v3),
  ],
  split: inline ? split : { ...split, result: byUrl(link, 'split.json', split.result) },
  edit: { document_url: link('edited.pdf', 'edited'), form_schema: null },
})

const pipeline: Record<string, Make> = {
  inline: (link) => ({ type: 'Pipeline', result: { ...pipelineHead, result: pipelineBody(link, true) } }),
  'its parts by URL': (link) => ({
    type: 'Pipeline',
    result: { ...pipelineHead, result: pipelineBody(link, false) },
  }),
  'its first parse by URL': (link) => {
    const body = pipelineBody(link, true)
    const [first, second] = body.parse
    const linked = { ...first, result: byUrl(link, 'first.json', chunksOf(link)) }
    return { type: 'Pipeline', result: { ...pipelineHead, result: { ...body, parse: [linked, second] } } }
  },
}

for (const [how, inline] of [
  ['', true],
  [', its parts by URL too', false],
] as const) {
  pipeline[`by URL${how}`] = (link) => ({
    type: 'Pipeline',
    result: { ...pipelineHead, result: byUrl(link, 'result.json', pipelineBody(link, inline)) },
  })
  pipeline[`by URL, a whole response${how}`] = (link) => ({
    type: 'Pipeline',
    result: {
      ...pipelineHead,
      result: byUrl(link, 'result.json', { ...pipelineHead, result: pipelineBody(link, inline) }),
    },
  })
  pipeline[`wholly behind a URL${how}`] = (link) => ({
    type: 'Pipeline',
    result: byUrl(link, 'result.json', { ...pipelineHead, result: pipelineBody(link, inline) }),
  })
}

const single: Record<string, Make> = {
  inline: (link) => ({
    type: 'Pipeline',
    result: {
      ...pipelineHead,
      result: { parse: { ...parseHead(link), result: full(link) }, extract: classic, split: null, edit: null },
    },
  }),
  'by URL': (link) => ({
    type: 'Pipeline',
    result: {
      ...pipelineHead,
      result: {
        parse: { ...parseHead(link), result: byUrl(link, 'parse.json', chunksOf(link)) },
        extract: { ...classic, result: byUrl(link, 'extract.json', [FIELDS]) },
        split: null,
        edit: null,
      },
    },
  }),
}

type Saved = TestService & {
  readonly view: CompletedResult
  readonly names: ReadonlyMap<string, string>
  readonly downloads: ReadonlyMap<string, number>
}

async function save(make: Make): Promise<Saved> {
  const on = await testService()
  const names = new Map<string, string>()
  const jobId = on.reducto.addJob({
    document: (storage: Storage) => {
      const link: Link = (name, content) => {
        const text = typeof content === 'string' ? content : JSON.stringify(content)
        const contentType = name.endsWith('.json') ? 'application/json' : 'application/octet-stream'
        storage.put(name, { contentType, body: Buffer.from(text) })
        names.set(name, text)
        return storage.link(name)
      }
      return make(link) as { type: string; result: unknown }
    },
  })
  const settled = event(on.events, 'settled')
  await on.inbox.accept(delivery(jobId))
  expect(await settled).toMatchObject({ state: 'done' })
  const walk = createWalkThread()
  onTestFinished(() => walk.close())
  const view = viewResult(
    (await on.results.record(jobId, new AbortController().signal))!,
    { results: on.results, walk },
    new AbortController().signal,
  )
  return { ...on, view: view as CompletedResult, names, downloads: on.reducto.storage.downloads }
}

async function textOf(source: Readable): Promise<string> {
  return Buffer.concat(await Array.fromAsync(source)).toString()
}

/** Every link is saved once, found by its pointer in the document that it stands in, with the right content. */
async function checkFiles({ view, names, downloads, folder }: Saved): Promise<void> {
  expect(view.record.complete).toBe(true)
  const place = join(folder, 'results', view.record.job_id)
  const saved = new Set<string>()
  for await (const entry of view.files()) {
    const { path } = entry as Extract<FileEntry, { path: string }>
    const document = JSON.parse(readFileSync(join(place, entry.in), 'utf8'))
    const steps = entry.pointer.split('/').slice(1)
    const url = new URL(steps.reduce((value, step) => value[step], document) as unknown as string)
    const name = decodeURIComponent(url.pathname.split('/').at(-1)!)
    expect(await textOf(await view.open(path)), `${entry.in}${entry.pointer}`).toBe(names.get(name))
    saved.add(name)
  }
  expect(saved).toEqual(new Set(names.keys()))
  expect(Object.fromEntries(downloads)).toEqual(Object.fromEntries([...names.keys()].map((name) => [name, 1])))
}

async function textsOf(view: CompletedResult): Promise<string[]> {
  const chunks = await Array.fromAsync(view.chunks())
  return chunks.map(({ content }) => content.slice(0, 'Part 0'.length))
}

const forms = (makes: Record<string, Make>) => Object.entries(makes)

describe('parse', () => {
  it.each(forms(parse))('%s', async (_form, make) => {
    const saved = await save(make)
    await checkFiles(saved)
    const { view } = saved
    expect(view.record.type).toBe('Parse')
    expect(await textsOf(view)).toEqual(['Part 0', 'Part 1'])
    const job = (await view.job()) as { result: { result: { type: string; chunks: Chunk[] } } }
    expect(job.result.result.type).toBe('full')
    expect(job.result.result.chunks).toEqual(await Array.fromAsync(view.chunks()))
    expect(JSON.parse((await view.rawJob()).toString())).toMatchObject({ status: 'Completed' })
    await expect(view.extracted()).rejects.toThrow('this job is of type Parse: it has no extracted fields')
    await expect(view.splits()).rejects.toThrow('it has no splits')
  })
})

describe('extract', () => {
  it.each(forms(extract))('%s', async (_form, make) => {
    const saved = await save(make)
    await checkFiles(saved)
    const { view } = saved
    expect(view.record.type).toBe('Extract')
    expect(await view.extracted()).toEqual(FIELDS)
    expect(await view.citations()).toEqual(CITED)
    await expect(Array.fromAsync(view.chunks())).rejects.toThrow('it has no chunks')
  })

  it('gives several sets of fields as an array', async () => {
    const { view } = await save(() => ({ type: 'Extract', result: { ...classic, result: [{ a: 1 }, { a: 2 }] } }))
    expect(await view.extracted()).toEqual([{ a: 1 }, { a: 2 }])
  })

  it('takes fields called value and citations for what they are', async () => {
    const fields = { value: 3, citations: 'Smith 1999', more: 1 }
    const { view } = await save(() => ({ type: 'Extract', result: { ...v3, result: { cited: fields } } }))
    expect(await view.extracted()).toEqual({ cited: fields })
  })
})

describe('split', () => {
  it.each(forms(splitting))('%s', async (_form, make) => {
    const saved = await save(make)
    await checkFiles(saved)
    expect(saved.view.record.type).toBe('Split')
    expect(await saved.view.splits()).toEqual(splitUp)
  })

  it('deep, with evidence for each page', async () => {
    const { view } = await save(() => ({ type: 'Split', result: deepSplit }))
    expect(await view.splits()).toEqual([
      {
        name: 'Terms',
        pages: [3],
        conf: null,
        evidence: [EVIDENCE],
        partitions: [{ name: 'B', pages: [3], conf: null, evidence: [EVIDENCE], partitions: [] }],
      },
    ])
  })
})

describe('pipeline', () => {
  it.each(forms(pipeline))('over several parts, %s', async (_form, make) => {
    const saved = await save(make)
    await checkFiles(saved)
    const { view } = saved
    expect(await textsOf(view)).toEqual(['Part 0', 'Part 1', 'Part 2', 'Part 3'])
    expect(await view.extracted()).toEqual([FIELDS, FIELDS])
    const again = CITED.map((one) => ({ ...one, pointer: `/1${one.pointer}` }))
    expect(await view.citations()).toEqual([...CITED.map((one) => ({ ...one, pointer: `/0${one.pointer}` })), ...again])
    expect(await view.splits()).toEqual(splitUp)
    const { result } = (await view.job()) as unknown as { result: { result: ReturnType<typeof pipelineBody> } }
    const whole = result.result.parse.map((one) => (one.result as { chunks: Chunk[] }).chunks.length)
    expect(whole).toEqual([2, 2])
    expect((result.result.extract[0]!.result as typeof classic).result).toEqual([FIELDS])
    expect(result.result.split).toEqual(split)
  })

  it.each(forms(single))('over one document, %s', async (_form, make) => {
    const saved = await save(make)
    await checkFiles(saved)
    expect(await textsOf(saved.view)).toEqual(['Part 0', 'Part 1'])
    expect(await saved.view.extracted()).toEqual(FIELDS)
    expect(await saved.view.citations()).toEqual(CITED)
    await expect(saved.view.splits()).rejects.toThrow('it has no splits')
  })
})

it('edit: the document, and nothing else to ask for', async () => {
  const saved = await save((link) => ({
    type: 'Edit',
    result: { document_url: link('edited.pdf', 'edited'), form_schema: [{ value: 'https://example.com/me' }] },
  }))
  await checkFiles(saved)
  await expect(saved.view.extracted()).rejects.toThrow('this job is of type Edit')
  expect(await saved.view.job()).toMatchObject({ result: { form_schema: [{ value: 'https://example.com/me' }] } })
})

it('classify: in the answer', async () => {
  const result = { response_type: 'classify', job_id: 'c', result: { category: 'invoice' } }
  const saved = await save(() => ({ type: 'Classify', result }))
  await checkFiles(saved)
  expect(await saved.view.job()).toMatchObject({ result })
})

it('a kind that does not exist yet: its links by their names, its chunks looked for, its values left alone', async () => {
  const saved = await save((link) => ({
    type: 'Summarize',
    result: {
      response_type: 'summary',
      metadata: { image_url: 'https://customer.example/me.png' },
      result: byUrl(link, 'result.json', { chunks: chunksOf(link), summary: 'https://example.com' }),
    },
  }))
  await checkFiles(saved)
  expect(saved.view.record.type).toBe('Summarize')
  expect(await textsOf(saved.view)).toEqual(['Part 0', 'Part 1'])
  await expect(saved.view.extracted()).rejects.toThrow('this job is of type Summarize')
})

describe('answers as they could come', () => {
  const run = async (variant: Variant) => {
    const on = await testService()
    const id = 'variant-1'
    on.reducto.addJob({ id, document: (storage: Storage) => variant(id, storage) as { type: string; result: unknown } })
    const settled = event(on.events, 'settled')
    await on.inbox.accept(delivery(id))
    return { on, id, settled: await settled }
  }

  it.each(Object.entries(WHOLE))('%s: done, and everything is saved', async (_name, variant) => {
    const { on, id, settled } = await run(variant)
    expect(settled).toMatchObject({ state: 'done' })
    const record = (await on.results.record(id, new AbortController().signal))!
    const links = [...on.reducto.storage.downloads.keys()]
    expect(record).toMatchObject({ complete: true, files: { count: links.length, failed: 0 } })
    const text = JSON.stringify(variant(id, on.reducto.storage).result)
    expect(links.length).toBe(text.split('"type":"url"').length - 1)
  })

  it.each(Object.entries(LACKING))('%s: not done', async (_name, variant) => {
    const { on, id, settled } = await run(variant)
    expect(settled).not.toMatchObject({ state: 'done' })
    expect(await on.results.record(id, new AbortController().signal)).toBeNull()
  })
})
