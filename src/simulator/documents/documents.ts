import { crc32, deflateSync } from 'node:zlib'
import type { Storage } from '../storage.ts'

/**
 * Results of every kind in the shapes of Reducto's API, about realistic documents. Links to storage are created for
 * every answer, as the API creates fresh links.
 */

export type Kind = 'parse' | 'parse-url' | 'extract' | 'extract-v3' | 'split' | 'edit' | 'pipeline' | 'classify'

export const KINDS: readonly Kind[] = [
  'parse',
  'parse-url',
  'extract',
  'extract-v3',
  'split',
  'edit',
  'pipeline',
  'classify',
]

/** The `type` of the answer and its `result`. */
export type Document = { readonly type: string; readonly result: unknown }

export function makeDocument(kind: Kind, jobId: string, storage: Storage): Document {
  switch (kind) {
    case 'parse':
      return { type: 'Parse', result: parse(jobId, storage) }
    case 'parse-url':
      return { type: 'Parse', result: parseByUrl(jobId, storage) }
    case 'extract':
      return { type: 'Extract', result: { response_type: 'extract', ...extract() } }
    case 'extract-v3':
      return { type: 'Extract', result: { response_type: 'v3_extract', ...extractV3(jobId) } }
    case 'split':
      return { type: 'Split', result: { response_type: 'split', ...split() } }
    case 'edit':
      return { type: 'Edit', result: { response_type: 'edit', ...edit(jobId, storage) } }
    case 'pipeline':
      return { type: 'Pipeline', result: pipeline(jobId, storage) }
    case 'classify':
      return { type: 'Classify', result: classify(jobId) }
  }
}

function parse(jobId: string, storage: Storage) {
  return {
    response_type: 'parse',
    ...parseHead(jobId, storage),
    result: { type: 'full', chunks: chunks(jobId, storage), ocr: null, custom: null },
  }
}

/** The shape of a large parse: the chunks are behind a link, and contain the links of their images. */
function parseByUrl(jobId: string, storage: Storage) {
  storage.put(`${jobId}/result.json`, {
    contentType: 'application/json',
    body: Buffer.from(JSON.stringify({ type: 'full', chunks: chunks(jobId, storage) })),
  })
  return {
    response_type: 'parse',
    ...parseHead(jobId, storage),
    result: { type: 'url', url: storage.link(`${jobId}/result.json`), result_id: `result-${jobId}` },
  }
}

function parseHead(jobId: string, storage: Storage) {
  storage.put(`${jobId}/document.pdf`, { contentType: 'application/pdf', body: PDF })
  return {
    job_id: jobId,
    duration: 4.2,
    usage: { num_pages: 2, credits: 2 },
    pdf_url: storage.link(`${jobId}/document.pdf`),
    studio_link: `https://studio.reducto.ai/job/${jobId}`,
  }
}

function chunks(jobId: string, storage: Storage) {
  storage.put(`${jobId}/figure.png`, { contentType: 'image/png', body: PNG })
  storage.put(`${jobId}/chart.json`, {
    contentType: 'application/json',
    body: Buffer.from('{"series":[{"name":"Revenue","points":[[2024,12.5],[2025,14.1]]}]}'),
  })
  storage.put(`${jobId}/page.png`, { contentType: 'image/png', body: PNG })
  const text = block('Text', 'Revenue grew by 12.8 %. Details: https://example.com/report?id=7', 1, 0.2)
  const figure = {
    ...block('Figure', 'Revenue by year', 1, 0.5),
    image_url: storage.link(`${jobId}/figure.png`),
    chart_data: [storage.link(`${jobId}/chart.json`)],
    extra: { page_image_url: storage.link(`${jobId}/page.png`) },
  }
  const table = block('Table', '<table><tr><td>2025</td><td>14.1</td></tr></table>', 2, 0.3)
  return [
    chunk([block('Title', 'Annual report', 1, 0.05), text, figure]),
    chunk([block('Section Header', 'Figures', 2, 0.1), table]),
  ]
}

function chunk(blocks: readonly ReturnType<typeof block>[]) {
  const content = blocks.map((one) => one.content).join('\n\n')
  return { content, embed: content, enriched: null, enrichment_success: false, blocks }
}

function block(type: string, content: string, page: number, top: number) {
  return {
    type,
    content,
    bbox: { left: 0.1, top, width: 0.8, height: 0.1, page, original_page: page },
    image_url: null as string | null,
    chart_data: null as string[] | null,
    confidence: 'high',
    granular_confidence: { extract_confidence: null, parse_confidence: 0.98 },
    extra: null as Record<string, unknown> | null,
  }
}

const INVOICE = {
  invoice_number: 'INV-2026-0042',
  total: 1249.5,
  currency: 'EUR',
  // Data, not the vendor's links: never downloaded.
  supplier: { name: 'Nordlicht GmbH', image_url: 'https://supplier.example/logo.png' },
  lines: [
    { description: 'Consulting', amount: 1050 },
    { description: 'Travel', amount: 199.5 },
  ],
}

function extract() {
  return { result: [INVOICE], citations: null, usage: { num_pages: 1, num_fields: 8, credits: 2 }, studio_link: null }
}

function extractV3(jobId: string) {
  const cited = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(cited)
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, cited(inner)]))
    return { value, citations: [{ type: 'Text', content: String(value), bbox: block('Text', '', 1, 0.4).bbox }] }
  }
  return { job_id: jobId, result: cited(INVOICE), usage: { num_pages: 1, num_fields: 8, credits: 3 } }
}

function split() {
  return {
    result: {
      section_mapping: { Invoice: [1, 2], Terms: [3] },
      splits: [
        { name: 'Invoice', pages: [1, 2], conf: 'high', partitions: null },
        { name: 'Terms', pages: [3], conf: 'low', partitions: null },
      ],
    },
    usage: { num_pages: 3, credits: 3 },
  }
}

function edit(jobId: string, storage: Storage) {
  storage.put(`${jobId}/edited.pdf`, { contentType: 'application/pdf', body: PDF })
  return {
    document_url: storage.link(`${jobId}/edited.pdf`),
    form_schema: [
      { bbox: block('Text', '', 1, 0.4).bbox, description: 'Name', type: 'text', fill: true, value: 'Ada' },
    ],
    usage: { num_pages: 1, credits: 4 },
  }
}

function pipeline(jobId: string, storage: Storage) {
  return {
    response_type: 'pipeline',
    job_id: jobId,
    usage: { num_pages: 3, credits: 6 },
    result: {
      parse: parseByUrl(jobId, storage),
      extract: [{ split_name: 'Invoice', page_range: [1, 2], result: extract(), partition: null }],
      split: split(),
      edit: null,
    },
  }
}

function classify(jobId: string) {
  return {
    response_type: 'classify',
    job_id: jobId,
    duration: 0.8,
    result: { category: 'invoice' },
    response_confidence: {
      categories: [
        {
          category: 'invoice',
          confidence: 0.97,
          criteria_confidence: [{ criterion: 'has a total', confidence: 'high' }],
        },
      ],
    },
  }
}

const PDF = Buffer.from(
  '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n' +
    '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n',
)

/** One grey pixel. */
const PNG = Buffer.concat([
  Buffer.from('89504e470d0a1a0a0000000d4948445200000001000000010800000000', 'hex'),
  Buffer.from('3a7e9b55', 'hex'),
  pngData(),
  Buffer.from('0000000049454e44ae426082', 'hex'),
])

function pngData(): Buffer {
  const data = deflateSync(Buffer.from([0, 0x80]))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const typed = Buffer.concat([Buffer.from('IDAT'), data])
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(typed))
  return Buffer.concat([length, typed, sum])
}
