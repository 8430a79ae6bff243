import { describe, expect, it } from 'vitest'
import { KIND_NAMES, type Kind } from '../../src/answer/kinds.ts'
import type { Role } from '../../src/answer/plan.ts'
import { KINDS, makeDocument } from '../../src/simulator/documents/documents.ts'
import { createStorage } from '../../src/simulator/storage.ts'
import { LINK, scan, URL_1 } from './support.ts'

const storage = createStorage({ base: () => 'https://storage.example', lifetime: 60_000 })
const lacks = (type: string | null, result: unknown) => scan({ status: 'Completed', type, result }).lacks

describe('a completed answer must have its part', () => {
  it.each(KINDS)('the documents of Reducto do: %s', (kind) => {
    expect(scan({ status: 'Completed', ...makeDocument(kind, 'job', storage) }).lacks).toBeNull()
  })

  const empty: readonly unknown[] = [
    null,
    '',
    'done',
    0,
    false,
    {},
    { result: null },
    { job_id: 'j', usage: { num_pages: 1 } },
  ]
  it.each(KIND_NAMES)('%s: nothing, a scalar, or a response without result', (type) => {
    for (const result of empty) expect(lacks(type, result), JSON.stringify(result)).toMatch(/returned no/)
    expect(scan({ status: 'Completed', type }).lacks).toMatch(/returned no/)
    for (const result of [{ error: { message: 'no' } }, { detail: [] }])
      expect(lacks(type, result)).toMatch(/returned no/)
  })

  it('when its kind cannot be told too', () => {
    for (const type of [null, 'Translate'])
      for (const result of [
        null,
        undefined,
        {},
        { result: null },
        { result: null, usage: {}, more: 1 },
        { error: 'x' },
      ])
        expect(lacks(type, result), JSON.stringify(result)).toMatch(/returned no/)
    for (const result of [[], 'text', { translation: 'x' }, { result: [] }, LINK])
      expect(lacks('Translate', result)).toBeNull()
  })

  const parse = { result: { chunks: [] } }
  const wrong: readonly (readonly [Kind, unknown])[] = [
    ['Parse', { result: { type: 'full' } }],
    ['Parse', { result: { type: 'full', chunks: null } }],
    ['Parse', { result: { type: 'full', chunks: {} } }],
    ['Parse', { pdf_url: URL_1, result: null }],
    ['Extract', { result: null, citations: null }],
    ['Extract', { result: 'nothing found' }],
    ['Split', { result: { splits: null, section_mapping: null } }],
    ['Classify', { result: { category: null } }],
    ['Classify', { result: { category: '' } }],
    ['Edit', { form_schema: [] }],
    ['Edit', { document_url: null }],
    ['Edit', { document_url: '' }],
    ['Pipeline', { result: { parse: null, extract: null, split: null, edit: null } }],
    ['Pipeline', { result: { parse: [], extract: [] } }],
    ['Pipeline', { result: { parse: { result: null } } }],
    ['Pipeline', { result: { parse: [parse, null] } }],
    ['Pipeline', { result: { parse: [parse, { result: { chunks: null } }] } }],
    ['Pipeline', { result: { parse, extract: [{ split_name: 'a', result: null }] } }],
    ['Pipeline', { result: { parse, extract: { result: null } } }],
    ['Pipeline', { result: { parse, split: { result: {} } } }],
    ['Pipeline', { result: { parse, edit: { document_url: null } } }],
  ]
  it.each(wrong)('%s: %j', (type, result) => {
    expect(lacks(type, result)).toMatch(/returned no .*: \/result/)
  })

  const right: readonly (readonly [Kind, unknown])[] = [
    ['Parse', { result: { type: 'full', chunks: [] } }],
    ['Extract', { result: [] }],
    ['Extract', { result: {} }],
    ['Extract', []],
    ['Extract', { result: { error: 'E-5', detail: 'a field of the customer’s' } }],
    ['Split', { result: { splits: [] } }],
    ['Split', { result: { section_mapping: {} } }],
    ['Pipeline', { result: { parse, extract: null } }],
    ['Pipeline', { result: { parse: null, extract: [{ result: { result: [] } }] } }],
    ['Pipeline', { result: { parse: null, split: { result: { splits: [] } } } }],
  ]
  it.each(right)('%s: %j is empty, and whole', (type, result) => {
    expect(lacks(type, result)).toBeNull()
  })

  it('only when it is completed', () => {
    for (const status of ['Failed', 'Cancelled', 'Pending'])
      expect(scan({ status, type: 'Parse', result: null }).lacks).toBeNull()
  })

  it('an edit is told from its form when its document is missing', () => {
    expect(scan({ status: 'Completed', result: { form_schema: [], usage: {} } })).toMatchObject({
      type: 'Edit',
      lacks: 'Reducto returned no edited document: /result has no result',
    })
  })
})

describe('a document that a link leads to must have its part', () => {
  const roles: readonly Role[] = [...KIND_NAMES, 'Unknown' as const].flatMap((kind) => [
    `${kind}.response` as const,
    `${kind}.result` as const,
  ])
  it.each([...roles, 'Unknown.values' as const])('%s: null, an error, nothing at all', (role) => {
    const errors = [
      { error: 'x' },
      { error: { message: 'no', type: 't', code: 1 } },
      { detail: [{ msg: 'x' }], error: null },
    ]
    for (const document of ['null', ...errors])
      expect(scan(document, role).lacks, JSON.stringify(document)).toMatch(/returned no/)
    for (const text of ['', ' \n', '\uFEFF']) expect(scan(text, role).lacks).toBe('the linked document is empty')
  })

  it.each<[Role, unknown]>([
    ['Parse.result', []],
    ['Parse.result', { type: 'full', chunks: [] }],
    ['Parse.result', { job_id: 'p', result: { chunks: [] } }],
    ['Parse.response', { result: { chunks: [] } }],
    ['Extract.result', []],
    ['Extract.result', { result: null, usage: 'daily' }],
    ['Extract.result', { error: { value: 'E-5', citations: [] } }],
    ['Extract.response', { result: [], citations: null }],
    ['Split.result', { splits: [] }],
    ['Split.result', [{ name: 'a', pages: [1] }]],
    ['Classify.result', { category: 'invoice' }],
    ['Edit.response', { document_url: URL_1 }],
    ['Pipeline.result', { parse: { result: LINK } }],
    ['Unknown.result', { anything: 1 }],
  ])('%s: %j is whole', (role, document) => {
    expect(scan(document, role).lacks).toBeNull()
  })

  it.each<[Role, unknown]>([
    ['Parse.result', {}],
    ['Parse.result', { chunks: null }],
    ['Parse.result', { result: null }],
    ['Extract.result', { result: null, usage: { num_pages: 1 } }],
    ['Extract.response', { result: null, citations: null }],
    ['Extract.result', 5],
    ['Split.result', {}],
    ['Classify.result', { category: null }],
    ['Edit.response', { result: {} }],
    ['Pipeline.result', { parse: null }],
  ])('%s: %j is not', (role, document) => {
    expect(scan(document, role).lacks).toMatch(/returned no/)
  })
})
