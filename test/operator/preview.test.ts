import { describe, expect, it, onTestFinished } from 'vitest'
import { createWalkThread } from '../../src/answer/walk-thread.ts'
import type { ResultView } from '../../src/operator/job.ts'
import type { Page } from '../../src/operator/page.ts'
import { createPreviews } from '../../src/operator/preview/previews.ts'
import { sections } from '../../src/operator/preview/sections.ts'
import type { Results } from '../../src/results/results.ts'
import type { Document, Kind } from '../../src/simulator/documents/documents.ts'
import type { CleanText } from '../../src/telemetry/scrub.ts'
import { delivery, event, testService } from '../support/service.ts'

const SIGNAL = new AbortController().signal
const scrub = (text: string) => text as CleanText

/** A saved result of the simulator, as its page reads it. */
async function preview(job: {
  readonly kind?: Kind
  readonly document?: Document
  readonly status?: 'Failed'
  readonly reason?: string
}) {
  const service = await testService({ store: 'memory' })
  const { kind = 'parse', document, ...more } = job
  const jobId = service.reducto.addJob({ kind, ...more, ...(document ? { document: () => document } : {}) })
  const done = event(service.events, 'settled', (one) => one.state === 'done')
  await service.inbox.accept(delivery(jobId, { status: job.status ?? 'Completed' }))
  await done
  const record = await service.results.record(jobId, SIGNAL)
  return { ...read(service.results), record: record!, jobId }
}

function read(results: Pick<Results, 'open'>) {
  const walk = createWalkThread()
  onTestFinished(() => walk.close())
  return { previews: createPreviews({ results, walk, scrub }) }
}

const kindsOf = (view: ResultView) => (view.is === 'sections' ? view.sections.map((section) => section.is) : view)

/** What a person reads, without the elements. */
function textOf(view: ResultView, jobId = 'job'): string {
  if (view.is !== 'sections') return ''
  const page = { root: './', now: 0, zone: 'UTC' } as Page
  return String(sections(page, jobId, view.sections))
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
}

describe('a result for people', () => {
  it.each<[Kind, string[], RegExp]>([
    ['parse', ['chunks'], /Title p\. 1 Annual report .* Table p\. 2 2025 14\.1/],
    ['parse-url', ['chunks'], /Annual report/],
    ['extract', ['fields'], /lines\[2\]\.amount 199\.5 –/],
    ['extract-v3', ['fields'], /supplier\.name Nordlicht GmbH p\. 1/],
    ['split', ['parts'], /Invoice pages 1–2 Terms low confidence page 3/],
    ['edit', ['form'], /Name Ada text p\. 1/],
    ['classify', ['classes'], /invoice chosen 97 %/],
    ['pipeline', ['fields', 'parts', 'chunks'], /Fields .* INV-2026-0042 .* Parts .* Text .* Annual report/],
  ])('%s: %j', async (kind, expected, text) => {
    const { previews, record, jobId } = await preview({ kind })
    const view = await previews.read(record, SIGNAL)
    expect(kindsOf(view)).toEqual(expected)
    expect(textOf(view, jobId)).toMatch(text)
  })

  it('a failed job has Reducto’s reason', async () => {
    const { previews, record } = await preview({ status: 'Failed', reason: 'protected by a <password>' })
    const view = await previews.read(record, SIGNAL)
    expect(textOf(view)).toContain('protected by a &lt;password&gt;')
  })

  it('a kind that is not known yet is a tree', async () => {
    const result = { response_type: 'haiku', lines: [1, 1.1], '<b>': '<i>' }
    const { previews, record } = await preview({ document: { type: 'Haiku', result } })
    const view = await previews.read(record, SIGNAL)
    expect(kindsOf(view)).toEqual(['tree'])
    expect(textOf(view)).toContain('&lt;b&gt;')
  })

  it('extracted numbers keep their digits', async () => {
    const raw = JSON.parse('{"response_type":"extract","result":[{"id":1}],"citations":null,"usage":{"num_fields":1}}')
    raw.result[0].id = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON('12345678901234567890.10')
    const { previews, record } = await preview({ document: { type: 'Extract', result: raw } })
    expect(textOf(await previews.read(record, SIGNAL))).toContain('12345678901234567890.10')
  })

  it('what is very long is shown from its beginning', async () => {
    const chunk = { content: 'x', blocks: [] }
    const result = {
      response_type: 'parse',
      usage: {},
      result: { type: 'full', chunks: Array.from({ length: 500 }, () => chunk) },
    }
    const { previews, record } = await preview({ document: { type: 'Parse', result } })
    const view = await previews.read(record, SIGNAL)
    expect(view).toMatchObject({ sections: [{ is: 'chunks', isMore: true }] })
    const fields = Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`field_${at}`, at]))
    const wide = await preview({
      document: { type: 'Extract', result: { response_type: 'extract', result: [fields], citations: null } },
    })
    expect(await wide.previews.read(wide.record, SIGNAL)).toMatchObject({
      sections: [{ is: 'fields', more: 400, rows: { length: 500 } }],
    })
  })

  it('a value costs the same however deep it stands', async () => {
    let value: unknown = Array.from({ length: 200_000 }, () => 1)
    for (let depth = 0; depth < 400; depth++) value = { a: value }
    const result = { response_type: 'extract', result: [value], citations: null }
    const { previews, record } = await preview({ document: { type: 'Extract', result } })
    const before = process.cpuUsage()
    expect(await previews.read(record, SIGNAL)).toMatchObject({
      sections: [{ is: 'fields', more: 100_000, rows: { length: 500 } }],
    })
    // With recursion it took 14 s, in which nothing else was done. Of this process, whatever else the machine does.
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(3_000)
  })

  it('a page has so much text and no more, of whatever kind the result is', async () => {
    const parsed = (block: unknown) => ({
      type: 'Parse',
      result: {
        response_type: 'parse',
        usage: {},
        result: { type: 'full', chunks: [{ content: 'x', blocks: Array.from({ length: 400 }, () => block) }] },
      },
    })
    const fields = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`field_${at}`, 'x'.repeat(3_500)]))
    const documents: readonly Document[] = [
      parsed({ type: 'Text', content: '\u202e'.repeat(6_000) }),
      parsed({ type: 'Table', content: `<table><tr>${'<td>'.repeat(4_900)}` }),
      { type: 'Extract', result: { response_type: 'extract', result: [fields], citations: null } },
      {
        type: 'Split',
        result: {
          response_type: 'split',
          result: {
            splits: Array.from({ length: 9 }, () => ({ name: 'a', pages: Array(90_000).fill(7), conf: 'high' })),
          },
        },
      },
    ]
    for (const document of documents) {
      const { previews, record } = await preview({ document })
      const view = await previews.read(record, SIGNAL)
      if (view.is !== 'sections') throw new Error(view.is)
      const page = { root: './', now: 0, zone: 'UTC' } as Page
      expect(String(sections(page, 'job', view.sections)).length, document.type).toBeLessThan(4_000_000)
    }
  })

  it('places that make no sense are no places', async () => {
    const cited = (bbox: unknown) => ({ value: 'x', citations: [{ type: 'Text', content: 'x', bbox }] })
    const result = {
      response_type: 'v3_extract',
      result: {
        a: cited({ left: 'x', top: 0, width: 1, height: 1, page: 1 }),
        b: cited(null),
        c: cited({ left: -5, top: 1e9, width: 1, height: 1, page: 2 }),
        d: cited({ left: 0.9, top: 0.9, width: 0.9, height: 0.9, page: 3 }),
      },
    }
    const { previews, record } = await preview({ document: { type: 'Extract', result } })
    const view = await previews.read(record, SIGNAL)
    expect(view).toMatchObject({
      sections: [
        {
          rows: [
            { spots: [{ page: 1, box: null }] },
            { spots: [] },
            { spots: [{ page: 2, box: null }] },
            { spots: [{ page: 3 }] },
          ],
        },
      ],
    })
    const page = { root: './' } as Page
    if (view.is === 'sections') expect(String(sections(page, 'job', view.sections))).not.toMatch(/NaN|Infinity|="-/)
  })
})

describe('reading', () => {
  it('is done once for a result, however often its page is asked for', async () => {
    const { record } = await preview({ kind: 'extract' })
    let opened = 0
    const { previews } = read({
      open: async () => {
        opened++
        throw new Error('the store is not there')
      },
    })
    expect(await previews.read(record, SIGNAL)).toEqual({ is: 'unreadable', why: 'the store is not there' })
    expect(opened).toBe(1)
    const good = await preview({ kind: 'extract' })
    const first = await good.previews.read(good.record, SIGNAL)
    const again = await good.previews.read(good.record, SIGNAL)
    expect(again).toEqual(first)
    expect(again.is === 'sections' && first.is === 'sections' && again.sections === first.sections).toBe(true)
  })

  it('ends with the visitor, and makes room for the next one', async () => {
    const { record } = await preview({ kind: 'extract' })
    const waiting = Promise.withResolvers<void>()
    let asked = 0
    const { previews } = read({
      open: async () => {
        if (++asked === 2) waiting.resolve()
        return new Promise(() => {})
      },
    })
    const gone = new AbortController()
    const views = [1, 2, 3].map(() => previews.read(record, gone.signal))
    await waiting.promise
    gone.abort()
    // A store that hangs keeps no place.
    expect((await Promise.all(views)).map(({ is }) => is)).toEqual(['unreadable', 'unreadable', 'unreadable'])
  })
})
