import type { Storage } from '../storage.ts'

/**
 * Answers that Reducto was seen to give, or could give in future: with members that no type has, links in every
 * position, missing results, unknown kinds.
 */

/** The job's answer; `type` is null where it is not sent. */
export type Variant = (jobId: string, storage: Storage) => { readonly type: string | null; readonly result: unknown }

const CHUNK = { content: 'Part 1', embed: 'Part 1', enriched: null, blocks: [] }
const USAGE = { num_pages: 1, credits: 1 }
const FIELDS = { number: 'INV-1', total: 12.5 }

/** A link with additional members that no type has. */
function link(jobId: string, storage: Storage, name: string, content: unknown, contentType = 'application/json') {
  const body = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
  storage.put(`${jobId}/${name}`, { contentType, body })
  return {
    expires_at: '2030-01-01T00:00:00Z',
    type: 'url',
    url: storage.link(`${jobId}/${name}`),
    result_id: name,
    size: body.length,
    headers: null,
  }
}

/** Complete: the job is done with everything. */
export const WHOLE: Readonly<Record<string, Variant>> = {
  'a parse by URL, with more beside it': (id, storage) => ({
    type: 'Parse',
    result: { job_id: id, duration: 1, usage: USAGE, result: link(id, storage, 'parse.json', [CHUNK]) },
  }),
  'a parse wholly behind a URL': (id, storage) => ({
    type: 'Parse',
    result: link(id, storage, 'parse.json', { job_id: id, usage: USAGE, result: { type: 'full', chunks: [CHUNK] } }),
  }),
  'an extraction by URL, with more beside it': (id, storage) => ({
    type: 'Extract',
    result: { usage: USAGE, citations: null, result: link(id, storage, 'fields.json', [FIELDS]) },
  }),
  'a pipeline with every part by URL': (id, storage) => ({
    type: 'Pipeline',
    result: {
      job_id: id,
      usage: USAGE,
      result: {
        parse: [link(id, storage, 'parse.json', { usage: USAGE, result: { type: 'full', chunks: [CHUNK] } })],
        extract: [{ split_name: 'a', page_range: [1], result: { result: link(id, storage, 'fields.json', [FIELDS]) } }],
        split: { result: link(id, storage, 'splits.json', { splits: [{ name: 'a', pages: [1] }] }) },
        edit: null,
      },
    },
  }),
  'a result behind a byte order mark': (id, storage) => ({
    type: 'Parse',
    result: { usage: USAGE, result: link(id, storage, 'parse.json', `\uFEFF${JSON.stringify([CHUNK])}`) },
  }),
  'a new kind that leads to Markdown': (id, storage) => ({
    type: 'Summarize',
    result: { response_type: 'summary', result: link(id, storage, 'summary.md', '# Summary\n', 'text/markdown') },
  }),
  'a new kind that leads to a PDF': (id, storage) => ({
    type: 'Redact',
    result: link(id, storage, 'redacted.pdf', '%PDF-1.4\n%%EOF\n', 'application/pdf'),
  }),
  'an empty page': () => ({ type: 'Parse', result: { usage: USAGE, result: { type: 'full', chunks: [] } } }),
  'no fields': () => ({ type: 'Extract', result: { usage: USAGE, citations: null, result: [] } }),
}

/** Completed, but without a result: the job is not done. */
export const LACKING: Readonly<Record<string, Variant>> = {
  'no result': () => ({ type: 'Parse', result: null }),
  'no result, of no kind': () => ({ type: null, result: null }),
  'a response without result': (id) => ({ type: 'Extract', result: { job_id: id, usage: USAGE, result: null } }),
  'an edit without document': () => ({ type: 'Edit', result: { form_schema: [], usage: USAGE } }),
  'a pipeline with nothing in it': () => ({
    type: 'Pipeline',
    result: { usage: USAGE, result: { parse: null, extract: null, split: null, edit: null } },
  }),
  'a link to null': (id, storage) => ({
    type: 'Parse',
    result: { usage: USAGE, result: link(id, storage, 'null.json', 'null') },
  }),
  'a link to an error': (id, storage) => ({
    type: 'Extract',
    result: { usage: USAGE, result: link(id, storage, 'error.json', { error: { code: 500, message: 'no' } }) },
  }),
}
