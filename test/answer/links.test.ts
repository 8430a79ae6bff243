import { describe, expect, it } from 'vitest'
import { KIND_NAMES, type Kind } from '../../src/answer/kinds.ts'
import type { Role } from '../../src/answer/plan.ts'
import { LINK, pointers, scan, URL_1 } from './support.ts'

/** What Reducto was seen to write, or could write, beside `type` and `url`. */
const BESIDE: readonly Record<string, unknown>[] = [
  {},
  { result_id: 'r' },
  { result_id: 'r', expires_at: '2026-11-25T00:00:00Z' },
  { expires_at: { iso: '2026-11-25' }, chunks: null, result: null },
  { headers: [{ name: 'x' }], size: 12, url_type: 'signed', content_type: 'application/json' },
]
const links = BESIDE.flatMap((beside) => [
  { ...LINK, ...beside },
  { ...beside, url: URL_1, type: 'url' },
])

/** Where a link may stand in an answer of each kind, and what it leads to. */
const PLACES: readonly (readonly [Kind, string, (link: unknown) => unknown, Role])[] = [
  ...KIND_NAMES.flatMap((kind) => [
    [kind, '/result/url', (link: unknown) => link, `${kind}.response`] as const,
    [kind, '/result/result/url', (link: unknown) => ({ result: link }), `${kind}.result`] as const,
  ]),
  ['Pipeline', '/result/result/parse/url', (link) => ({ result: { parse: link } }), 'Parse.response'],
  ['Pipeline', '/result/result/parse/result/url', (link) => ({ result: { parse: { result: link } } }), 'Parse.result'],
  [
    'Pipeline',
    '/result/result/parse/0/result/url',
    (link) => ({ result: { parse: [{ result: link }] } }),
    'Parse.result',
  ],
  ['Pipeline', '/result/result/parse/0/url', (link) => ({ result: { parse: [link] } }), 'Parse.response'],
  ['Pipeline', '/result/result/extract/url', (link) => ({ result: { extract: link } }), 'Extract.response'],
  [
    'Pipeline',
    '/result/result/extract/result/url',
    (link) => ({ result: { extract: { result: link } } }),
    'Extract.result',
  ],
  [
    'Pipeline',
    '/result/result/extract/0/result/url',
    (link) => ({ result: { extract: [{ split_name: 'a', page_range: [1], result: link }] } }),
    'Extract.response',
  ],
  [
    'Pipeline',
    '/result/result/extract/0/result/result/url',
    (link) => ({ result: { extract: [{ split_name: 'a', result: { result: link } }] } }),
    'Extract.result',
  ],
  ['Pipeline', '/result/result/split/url', (link) => ({ result: { split: link } }), 'Split.response'],
  ['Pipeline', '/result/result/split/result/url', (link) => ({ result: { split: { result: link } } }), 'Split.result'],
  ['Pipeline', '/result/result/edit/url', (link) => ({ result: { edit: link } }), 'Edit.response'],
]

describe('a link is a type of url and a url, whatever stands beside them', () => {
  it.each(PLACES)('%s at %s', (type, pointer, make, contents) => {
    for (const link of links) {
      const expected = { links: [{ pointer, field: 'url', url: URL_1, essential: true, contents }], lacks: null }
      expect(scan({ status: 'Completed', type, result: make(link) })).toMatchObject(expected)
      // Whatever comes first: the type may be known only at the end.
      expect(scan({ result: make(link), type, status: 'Completed' })).toMatchObject(expected)
    }
  })

  it.each(PLACES)('%s at %s is none without a url', (type, _pointer, make) => {
    for (const link of [{ type: 'url', url: null }, { type: 'url', url: '' }, { type: 'url' }]) {
      const reading = scan({ status: 'Completed', type, result: make(link) })
      expect(reading.links).toEqual([])
      expect(reading.lacks, JSON.stringify(link)).not.toBeNull()
      expect(scan({ status: 'Completed', type: 'Translate', result: link }).lacks).toMatch(/a link without a URL/)
      expect(scan({ status: 'Completed', type: 'Translate', result: { result: link } }).lacks).toMatch(/without a URL/)
    }
  })

  it('is found in what a link led to: a response, its result, or one more link; and then no further', () => {
    const contentsOf = (value: unknown, role: Role) => scan(value, role).links.map(({ contents }) => contents)
    expect(contentsOf({ result: LINK }, 'Parse.response')).toEqual(['Parse.result'])
    expect(contentsOf({ result: LINK }, 'Parse.result')).toEqual(['Parse.last'])
    expect(contentsOf(LINK, 'Parse.result')).toEqual(['Parse.last'])
    expect(contentsOf({ parse: { result: LINK } }, 'Pipeline.result')).toEqual(['Parse.result'])
    expect(contentsOf({ result: { parse: [{ result: LINK }] } }, 'Pipeline.response')).toEqual(['Parse.result'])
    expect(contentsOf({ result: LINK, usage: { num_pages: 1 } }, 'Extract.result')).toEqual(['Extract.last'])
    expect(scan({ result: LINK }, 'Parse.last')).toMatchObject({
      links: [],
      lacks: '/result is yet another link: links to results lead in a circle, or too far',
    })
  })

  it('the edited document is essential, as any text, wherever an edit is', () => {
    for (const url of [URL_1, 's3://bucket/key', '/relative.pdf']) {
      const link = { field: 'document_url', url, essential: true, contents: null }
      const edit = { document_url: url, form_schema: null }
      expect(scan({ type: 'Edit', result: edit }).links).toMatchObject([link])
      expect(scan({ type: 'Pipeline', result: { result: { edit } } }).links).toMatchObject([link])
      expect(scan(edit, 'Edit.response').links).toMatchObject([link])
    }
  })
})

describe('equal names', () => {
  it('the last one counts, as in JSON.parse, whatever it is', () => {
    const answer = (members: string) => `{"type":"Parse","result":{${members}}}`
    const url = `"pdf_url":"${URL_1}"`
    expect(pointers(answer(`${url},"pdf_url":null`))).toEqual([])
    expect(pointers(answer(`${url},"pdf_url":{"a":1}`))).toEqual([])
    expect(pointers(answer(`"pdf_url":null,${url}`))).toEqual(['/result/pdf_url'])
    const chunks = `"result":{"chunks":[{"blocks":[{"image_url":"${URL_1}"}]}]}`
    expect(pointers(answer(`${chunks},"result":{"chunks":[]}`))).toEqual([])
    expect(pointers(answer(`${chunks},"result":null`))).toEqual([])
    expect(pointers(`{"result":{${chunks}},"type":"Parse","result":{}}`)).toEqual([])
    expect(pointers(answer(`"result":{"type":"url","url":"${URL_1}","type":"full"}`))).toEqual([])
    expect(pointers(answer(`"result":{"type":"url","url":"${URL_1}","url":null}`))).toEqual([])
  })
})

describe('data is never followed', () => {
  const values = {
    image_url: URL_1,
    pdf_url: URL_1,
    document_url: URL_1,
    chart_data: [URL_1],
    link: LINK,
    type: 'url',
    url: URL_1,
    chunks: [{ blocks: [{ image_url: URL_1 }] }],
  }
  it.each([
    ['in an extraction', { type: 'Extract', result: { result: [values], citations: [values] } }],
    [
      'in V3’s values',
      { type: 'Extract', result: { result: { a: values, b: { value: values, citations: [values] } } } },
    ],
    [
      'in a pipeline’s extractions',
      { type: 'Pipeline', result: { result: { extract: [{ split_name: LINK, result: { result: [values] } }] } } },
    ],
    [
      'beside the result',
      { type: 'Parse', metadata: values, source: values, raw_config: values, result: { usage: values } },
    ],
    [
      'in a block’s text and citations',
      {
        type: 'Parse',
        result: {
          result: {
            chunks: [{ content: URL_1, metadata: values, blocks: [{ content: values, citations: [values] }] }],
          },
        },
      },
    ],
  ])('%s', (_name, answer) => {
    expect(pointers(answer)).toEqual([])
  })

  it('behind a link to extracted values, whatever they look like', () => {
    for (const role of ['Extract.result', 'Extract.last'] as const)
      for (const document of [
        values,
        [values],
        LINK,
        { ...LINK, result: LINK, usage: 'daily' },
        { result: LINK, usage: values },
      ])
        expect(scan(document, role)).toMatchObject({ links: [], lacks: null })
  })

  it.each([
    [
      'below names of data',
      { type: 'Translate', result: { extract: values, fields: { a: values }, metadata: values } },
    ],
    ['in values with citations', { type: 'Translate', result: { a: { value: 1, image_url: URL_1, citations: [] } } }],
    ['in a list that is the whole result', { type: 'Translate', result: { result: [values, { a: values }] } }],
    [
      'in the result of what has the form of an extraction',
      { type: 'Extract4', result: { result: values, citations: null } },
    ],
    [
      'the same, told by its usage',
      { type: 'Extract4', result: { usage: { num_fields: 2 }, result: { deep: values } } },
    ],
    ['a link that is not the result', { type: 'Translate', result: { nested: { field: LINK } } }],
  ])('of a kind that is not known: %s', (_name, answer) => {
    const found = pointers(answer)
    // Where the result itself has this form it is a link: nothing tells it from one.
    expect(found.filter((pointer) => pointer !== '/result/result/url')).toEqual([])
  })

  it('of a kind that is not known, behind a link to extracted values', () => {
    const [link] = scan({ type: 'Extract4', result: { result: LINK, citations: null } }).links
    expect(link).toMatchObject({ essential: true, contents: 'Unknown.values' })
    expect(scan([values], 'Unknown.values')).toMatchObject({ links: [], lacks: null })
    expect(pointers({ result: { a: values }, usage: { num_fields: 1 } }, 'Unknown.result')).toEqual([])
    expect(pointers([values], 'Unknown.result')).toEqual([])
  })
})

describe('a kind that is not known', () => {
  it('its result may be a link in either place, with anything beside it', () => {
    for (const link of links)
      for (const type of ['Translate', null, 7]) {
        expect(pointers({ type, result: link })).toEqual(['/result/url'])
        expect(pointers({ type, result: { result: link, more: 1 } })).toContain('/result/result/url')
      }
    expect(scan({ result: LINK }).links).toMatchObject([{ essential: true, contents: 'Unknown.response' }])
  })

  it('has chunks in a bare list, and their images', () => {
    const chunks = [{ blocks: [{ image_url: URL_1, extra: { page_image_url: URL_1 } }] }]
    expect(pointers({ type: 'Translate', result: { result: chunks } })).toEqual([
      '/result/result/0/blocks/0/image_url',
      '/result/result/0/blocks/0/extra/page_image_url',
    ])
    expect(pointers(chunks, 'Unknown.result')).toHaveLength(2)
  })
})
