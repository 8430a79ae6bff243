import { describe, expect, it } from 'vitest'
import { NotJson } from '../../src/answer/errors.ts'
import { KINDS, makeDocument } from '../../src/simulator/documents/documents.ts'
import { createStorage } from '../../src/simulator/storage.ts'
import { pointers, scan, URL_1 } from './support.ts'

const storage = createStorage({ base: () => 'https://storage.example', lifetime: 60_000 })

const wrapped = { type: 'url', url: URL_1, result_id: 'r' }
const block = {
  image_url: URL_1,
  chart_data: [URL_1, URL_1],
  extra: { page_image_url: URL_1, other_url: URL_1 },
  content: URL_1,
}
const BLOCK_LINKS = ['image_url', 'chart_data/0', 'chart_data/1', 'extra/page_image_url']

describe('each kind has its links where it has them', () => {
  const expected: Record<(typeof KINDS)[number], string[]> = {
    parse: [
      '/result/pdf_url',
      '/result/result/chunks/0/blocks/2/image_url',
      '/result/result/chunks/0/blocks/2/chart_data/0',
      '/result/result/chunks/0/blocks/2/extra/page_image_url',
    ],
    'parse-url': ['/result/result/url', '/result/pdf_url'],
    extract: [],
    'extract-v3': [],
    split: [],
    edit: ['/result/document_url'],
    pipeline: ['/result/result/parse/result/url', '/result/result/parse/pdf_url'],
    classify: [],
  }
  it.each(KINDS)('%s', (kind) => {
    const document = makeDocument(kind, 'job', storage)
    expect(pointers({ status: 'Completed', ...document })).toEqual(expected[kind])
  })

  it('told by type, by response_type, or by shape', () => {
    for (const kind of KINDS) {
      const { type, result } = makeDocument(kind, 'job', storage)
      const bare = Object.fromEntries(Object.entries(result as object).filter(([name]) => name !== 'response_type'))
      for (const answer of [{ type, result: bare }, { result }, { result: bare }]) {
        const told = scan({ status: 'Completed', ...answer }).type
        // Only the API's own word tells a plain kind for what it is; the shape must do for the rest.
        expect(told, `${kind} of ${Object.keys(answer)}`).toBe(type)
        expect(pointers(answer)).toEqual(expected[kind])
      }
    }
    expect(scan({ status: 'Completed', result: { something: 1 } }).type).toBeNull()
    expect(scan({ type: 'Translate' }).type).toBe('Translate')
  })

  it('pipelines: lists of parses, extracts of splits, edits', () => {
    const result = {
      parse: [{ result: wrapped }, { pdf_url: URL_1, result: { type: 'full', chunks: [{ blocks: [block] }] } }],
      extract: [{ split_name: 'a', result: { result: wrapped } }],
      split: { result: wrapped },
      edit: { document_url: URL_1 },
    }
    const found = pointers({ type: 'Pipeline', result: { result } })
    expect(found.sort()).toEqual(
      [
        '/result/result/parse/0/result/url',
        '/result/result/parse/1/pdf_url',
        ...BLOCK_LINKS.map((link) => `/result/result/parse/1/result/chunks/0/blocks/0/${link}`),
        '/result/result/extract/0/result/result/url',
        '/result/result/split/result/url',
        '/result/result/edit/document_url',
      ].sort(),
    )
    expect(pointers({ type: 'Pipeline', result: { result: { extract: { result: wrapped } } } })).toEqual([
      '/result/result/extract/result/url',
    ])
  })

  it('an extraction by URL', () => {
    expect(pointers({ type: 'Extract', result: { result: wrapped } })).toEqual(['/result/result/url'])
    const { result_id, ...bare } = wrapped
    expect(pointers({ type: 'Extract', result: bare })).toEqual(['/result/url'])
  })
})

describe('a downloaded parse result, in every form', () => {
  const chunks = [{ blocks: [{ content: 'x' }, block] }]
  it.each([
    ['a bare array of chunks', chunks, '/0'],
    ['a full result', { type: 'full', chunks }, '/chunks/0'],
    ['a whole parse response', { result: { type: 'full', chunks } }, '/result/chunks/0'],
  ])('%s', (_name, document, prefix) => {
    expect(pointers(document, 'Parse.result')).toEqual(BLOCK_LINKS.map((link) => `${prefix}/blocks/1/${link}`))
  })
})

describe('data is left alone', () => {
  it('in extracted values, whatever their names', () => {
    const value = {
      pdf_url: URL_1,
      document_url: URL_1,
      image_url: URL_1,
      chart_data: [URL_1],
      chunks: [{ blocks: [block] }],
    }
    expect(pointers({ type: 'Extract', result: { result: [value, { field: wrapped }] } })).toEqual([])
    expect(pointers([value], 'Extract.result')).toEqual([])
    expect(pointers({ type: 'Pipeline', result: { result: { extract: { result: [value] } } } })).toEqual([])
  })

  it('an object of the customer’s that is called url', () => {
    expect(pointers({ type: 'Extract', result: { result: { type: 'url', url: { value: URL_1 } } } })).toEqual([])
  })

  it('outside of the result, and what is no web URL', () => {
    expect(
      pointers({ type: 'Parse', source: { pdf_url: URL_1 }, result: { pdf_url: 'reducto://x', studio_link: URL_1 } }),
    ).toEqual([])
  })
})

describe('a kind that does not exist yet', () => {
  it('has its links by name and by form, outside of what is surely data', () => {
    const result = {
      pages: [{ page_image_url: URL_1, chart_data: [URL_1] }],
      pdf_url: URL_1,
      metadata: { image_url: URL_1 },
      extract: { image_url: URL_1 },
      nested: { field: wrapped },
      result: wrapped,
    }
    expect(pointers({ type: 'Translate', image_url: URL_1, result })).toEqual([
      '/result/result/url',
      '/result/pages/0/page_image_url',
      '/result/pages/0/chart_data/0',
      '/result/pdf_url',
    ])
  })
})

describe('pointers', () => {
  it('are RFC 6901, one for each place, the last of equal names', () => {
    expect(pointers('{"type":"X","result":{"a/b~c":{"image_url":"https://a.example/1"}}}')).toEqual([
      '/result/a~1b~0c/image_url',
    ])
    const twice = scan('{"type":"Parse","result":{"pdf_url":"https://a.example/1","pdf_url":"https://a.example/2"}}')
    expect(twice.links).toMatchObject([{ pointer: '/result/pdf_url', url: 'https://a.example/2' }])
  })
})

describe('the outline', () => {
  it('is kept however many fields come before, and takes containers for no text', () => {
    const fields = Object.fromEntries(
      Array.from({ length: 5_000 }, (_, field) => [`field_${field}`, { value: 1, image_url: URL_1 }]),
    )
    const late = { result: { result: fields, usage: { num_fields: 5_000 } }, type: 'Extract', status: 'Completed' }
    expect(pointers(late)).toEqual([])
    expect(scan(late).status).toBe('Completed')
    expect(scan({ type: {}, reason: [], result: { result: { category: {} } } })).toMatchObject({
      type: null,
      reason: null,
    })
    expect(scan({ result: { response_type: '__proto__' } }).type).toBe('__proto__')
  })
})

describe('scanning', () => {
  it('is the same whatever the pieces', () => {
    const document = { status: 'Completed', ...makeDocument('parse', 'job', storage) }
    const whole = scan(document, 'job', 1_000_000)
    for (const size of [1, 2, 3, 64]) expect(scan(document, 'job', size)).toEqual(whole)
  })

  it.each([
    '',
    ' ',
    '{',
    '[',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '[1,',
    '[1 2]',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{1:2}',
    ']',
    '}',
    '[}',
    '{]',
    '[1]]',
    '1 2',
    '"x',
    'tru',
    '{"a":,}',
    '[,]',
    '[1,]',
    '{"a":1,}',
    '\u0000',
    'hello',
    '01',
    '"\n"',
  ])('refuses %j', (text) => {
    expect(() => scan(text)).toThrow(NotJson)
    if (text.trim() !== '') expect(() => scan(text, 'Parse.result')).toThrow(NotJson)
  })

  it.each(['{}', '[]', '1', '"x"', 'null', ' {"a" : [ 1 , -2.5e3 , true , false , null , {} , [] ] } '])(
    'takes %j',
    (text) => {
      expect(() => scan(text, 'Parse.result')).not.toThrow()
    },
  )
})
