import { describe, expect, it, vi } from 'vitest'
import { forwardBody } from '../../src/handler/forward-body.ts'
import type { CompletedResult } from '../../src/handler/handler.ts'
import { viewResult } from '../../src/handler/result-view.ts'
import { parseLossless, stringifyLossless } from '../../src/lossless-json.ts'
import { createFileResults } from '../../src/results/file.ts'
import { changedRecord, type JobRecord, parseRecord, recordText } from '../../src/results/record.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { tempFolder } from '../support/temp.ts'
import { neverAborts, pieces, recordOf } from './contract.ts'

/** Metadata is whatever a sender wrote: a look at a record must not cost what parsing that does. */

const METADATA: Record<string, string> = {
  'numbers that JavaScript keeps': `[${'1,'.repeat(500_000)}1]`,
  'numbers that it would change': `[${'1.0,'.repeat(250_000)}12345678901234567890]`,
  'small objects': `[${'{"a":{}},'.repeat(110_000)}{}]`,
  'short texts': `{"metadata":[${'"",'.repeat(330_000)}"}]\\"\\\\"],"job_id":"other"}`,
  'deep lists': `[${`${'['.repeat(400)}1${']'.repeat(400)},`.repeat(1_200)}1]`,
  'one long text': JSON.stringify('\\"{[ü'.repeat(130_000)),
  'a number of many digits': '1'.repeat(1_000_000),
}
const FORMS: Record<string, (text: string) => string> = {
  'as it is written now': (metadata) => recordText({ ...recordOf('job-1'), metadata: parseLossless(metadata) }),
  'with lines of its own, as it was': (metadata) =>
    `${stringifyLossless({ ...recordOf('job-1'), metadata: parseLossless(metadata) }, 2)}\n`,
  'as the last member': (metadata) => {
    const { metadata: _, ...others } = recordOf('job-1')
    return `${stringifyLossless(others, 2).slice(0, -2)},\n  "metadata": ${metadata}\n}\n`
  },
  'with other indentation': (metadata) =>
    stringifyLossless({ ...recordOf('job-1'), metadata: 0 }, 1).replace('"metadata": 0', `"metadata":\r\n${metadata}`),
  'on one line': (metadata) => stringifyLossless({ ...recordOf('job-1'), metadata: parseLossless(metadata) }),
}
/** Without lines between deep lists: these would be half a GiB. */
const CASES = Object.entries(METADATA).flatMap(([kind, text]) =>
  Object.entries(FORMS)
    .filter(([form]) => kind !== 'deep lists' || !form.startsWith('with lines'))
    .map(([form, write]) => [kind, form, text, write] as const),
)

/** How many characters of JSON are parsed and written while `work` runs. */
async function charactersHandled(work: () => unknown): Promise<number> {
  const parse = vi.spyOn(JSON, 'parse')
  const stringify = vi.spyOn(JSON, 'stringify')
  try {
    await work()
    const parsed = parse.mock.calls.map(([text]) => String(text).length)
    const written = stringify.mock.results.map(({ value }) => String(value).length)
    return [...parsed, ...written].reduce((sum, length) => sum + length, 0)
  } finally {
    vi.restoreAllMocks()
  }
}

const MAX_HANDLED = 16 * 1024
const walk = { read: () => Array.prototype.values.call([]) } as never

describe('a record with large metadata', () => {
  it.each(CASES)('%s, %s, is read without parsing that', async (_kind, _form, metadata, write) => {
    const text = write(metadata)
    let record: JobRecord | null = null
    expect(await charactersHandled(() => (record = parseRecord(text, 'job-1')))).toBeLessThan(MAX_HANDLED)
    expect(record).toMatchObject({ job_id: 'job-1', round: 1, files: { path: 'files.jsonl' } })
    expect(Object.keys(record!).sort()).toEqual(Object.keys(recordOf('job-1')).sort())
    // Exact when it is asked for.
    expect(stringifyLossless(record!.metadata)).toBe(metadata)
  })

  it.each(Object.entries(METADATA))(
    '%s: is saved, seen by a handler, forwarded and changed without it',
    async (_kind, metadata) => {
      const results = createFileResults({ root: tempFolder(), minFree: 0 })
      const draft = await results.draft('job-1', 1, { signal: neverAborts })
      const job = await draft.write('job.json', pieces('{"a":1.0}'))
      const files = { ...(await draft.write('files.jsonl', pieces())), count: 0, failed: 0 }
      await draft.commit(recordOf('job-1', { metadata: parseLossless(metadata), job, files }), { replace: false })

      let body = ''
      let view: CompletedResult | null = null
      const handled = await charactersHandled(async () => {
        const record = (await results.record('job-1', neverAborts))!
        view = viewResult(record, { results, walk }, neverAborts) as CompletedResult
        const links = { to: () => 'https://h.example/x', isGood: () => true }
        body = await forwardBody(record, { results, links, now: () => 0, scrub: createScrub([]) }, neverAborts)
        const again = await results.draft('job-1', 2, { signal: neverAborts, from: 'saved' })
        await again.write('files.jsonl', pieces())
        await again.commit(changedRecord(record, { reason: null, complete: false }), { replace: true })
      })
      expect(handled).toBeLessThan(MAX_HANDLED)
      expect(body).toContain(`"metadata":${metadata},`)
      expect(body).toContain('"content":{"a":1.0}')
      expect(view!.record.metadata).toEqual(JSON.parse(metadata))
      const record = (await results.record('job-1', neverAborts))!
      expect(record.complete).toBe(false)
      expect(stringifyLossless(record.metadata)).toBe(metadata)
    },
  )

  it('that breaks off is none', () => {
    const text = recordText({ ...recordOf('job-1'), metadata: 'x'.repeat(100_000) })
    for (const length of [1_000, 100_000, text.length - 100, text.length - 2])
      expect(parseRecord(text.slice(0, length), 'job-1')).toBeNull()
  })
})

it('short metadata is written and read as people expect', () => {
  const record = recordOf('job-1', { metadata: parseLossless('{"id":12345678901234567890}') })
  expect(recordText(record)).toBe(`${stringifyLossless(record, 2)}\n`)
  expect(recordText(record)).toContain('\n    "id": 12345678901234567890\n')
  const read = parseRecord(recordText(record), 'job-1')!
  expect(Object.getOwnPropertyDescriptor(read, 'metadata')).toHaveProperty('value')
})
