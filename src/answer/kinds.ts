/**
 * What Reducto's answers look like: the one table that knows the kinds of jobs. What the scan keeps of a document, the
 * links that are followed, what a job must have to be done, how its kind is told, where chunks are looked for: all of it
 * is derived from here. A new kind of job is a new entry (and a document in the simulator).
 *
 * Every kind has the same frame: an answer has a *response* at `/result`, and a response has a *result* at `result`
 * within it. Either can be a link instead, `{type: "url", url, …}`, whatever else stands beside these two members; what
 * it leads to is a response or a result (docs/vendors.md#reducto-answers), and may be the bare array that the result's main member holds.
 */
export type Kind = 'Parse' | 'Extract' | 'Split' | 'Edit' | 'Pipeline' | 'Classify'

/** `*` stands for each item of an array. */
export type Pattern = string

/** What a member's value is. `text` is a string that is not empty. */
export type Shape = 'array' | 'object' | 'text' | 'scalar' | 'present'

export type KindSpec = {
  /** `response_type` within the response, which the API sends and the SDK's types lack. */
  readonly responseTypes: readonly string[]
  /**
   * How the kind is told when neither `type` nor `response_type` says it: any of these alternatives, each a list of members
   * of the response (`path` or `path:shape`) that must all be there. Kinds are asked in the order of the table.
   */
  readonly toldBy: readonly (readonly string[])[]
  /** Links to files beside the result, where http(s) URLs stand: in the response, in the result. */
  readonly sideLinks?: { readonly response?: readonly Pattern[]; readonly result?: readonly Pattern[] }
  /** The part without which the job is not done, for messages. */
  readonly part: string
  /**
   * Where that part is. `any`: the result has one of these members. `values`: the result itself is the part, and all in it
   * is the customer's. `document`: this member of the response is a link to it. `parts`: the result has parts, each of
   * them a whole response of another kind; at least one is there, and each that is there has its own part.
   */
  readonly has:
    | { readonly any: Readonly<Record<string, Shape>> }
    | { readonly values: true }
    | { readonly document: string }
    | { readonly parts: Readonly<Record<string, PartSpec>> }
  /** A result may also be the bare array that this member would hold. */
  readonly bare?: string
  /** The member of a result that holds an array of chunks. */
  readonly chunks?: string
}

/** A part of a pipeline: one response, or a list of them. `inItem`: the member of a list's item that holds the response. */
export type PartSpec = { readonly kind: Kind; readonly list: boolean; readonly inItem?: string }

/** The links of a block, where they stand in a chunk. */
const BLOCK_LINKS = ['image_url', 'chart_data/*', 'extra/page_image_url'].map((link) => `blocks/*/${link}`)

export const KINDS: Readonly<Record<Kind, KindSpec>> = {
  // Extracted values can have any names, so an extraction is recognised before the result's own shape is looked at.
  // An empty array or object is a result: nothing of the schema was found. A string, a number or null is none.
  Extract: {
    responseTypes: ['extract', 'v3_extract'],
    toldBy: [['usage/num_fields'], ['citations']],
    part: 'extracted values',
    has: { values: true },
  },
  Edit: {
    responseTypes: ['edit'],
    toldBy: [['document_url'], ['form_schema']],
    part: 'edited document',
    has: { document: 'document_url' },
  },
  // A pipeline without any of these parts has nothing in it. Empty lists of parts are nothing too; an empty part is not.
  Pipeline: {
    responseTypes: ['pipeline'],
    toldBy: [['result/parse'], ['result/extract'], ['result/split'], ['result/edit']],
    part: 'part of its pipeline',
    has: {
      parts: {
        parse: { kind: 'Parse', list: true },
        extract: { kind: 'Extract', list: true, inItem: 'result' },
        split: { kind: 'Split', list: false },
        edit: { kind: 'Edit', list: false },
      },
    },
  },
  // A document in which nothing was found has an empty list of splits.
  Split: {
    responseTypes: ['split'],
    toldBy: [['result/splits:array'], ['result/section_mapping']],
    part: 'splits',
    has: { any: { splits: 'array', section_mapping: 'object' } },
    bare: 'splits',
  },
  Classify: {
    responseTypes: ['classify'],
    toldBy: [['result/category:scalar']],
    part: 'category',
    has: { any: { category: 'text' } },
  },
  // An empty page has no chunks: an empty list is a result.
  Parse: {
    responseTypes: ['parse'],
    toldBy: [['result/chunks:array'], ['result/type:scalar', 'duration'], ['pdf_url']],
    sideLinks: { response: ['pdf_url'], result: BLOCK_LINKS.map((link) => `chunks/*/${link}`) },
    part: 'chunks',
    has: { any: { chunks: 'array' } },
    bare: 'chunks',
    chunks: 'chunks',
  },
}

/** For a kind that is not known yet. */
export const UNKNOWN = {
  /** Names of members that hold links to files, wherever they stand, apart from `dataNames`. */
  linkNames: new Set(['pdf_url', 'document_url', 'image_url', 'page_image_url']),
  /** Names of arrays of such links. */
  linkArrays: new Set(['chart_data']),
  /** Without these documents the job has no result. */
  essential: new Set(['/result/document_url', '/result/result/document_url']),
  /**
   * What stands below these is data: extracted values, and what the customer gave. So is whatever stands beside
   * citations as a `value`, and what is in an array that is a whole result, unless it has the blocks of a chunk.
   */
  dataNames: new Set(
    [
      'extract',
      'extracted',
      'extraction',
      'extractions',
      'extracted_values',
      'extracted_fields',
      'fields',
      'values',
    ].concat([
      'value',
      'citations',
      'metadata',
      'raw_config',
      'source',
      'input',
      'custom',
      'ocr',
      'schema',
      'form_schema',
    ]),
  ),
  /** The member of an item of a bare array that makes it a chunk. */
  chunkMember: 'blocks',
} as const

export const KIND_NAMES = Object.keys(KINDS) as readonly Kind[]

export function isKind(name: unknown): name is Kind {
  return typeof name === 'string' && Object.hasOwn(KINDS, name)
}

const BY_RESPONSE_TYPE: ReadonlyMap<string, Kind> = new Map(
  KIND_NAMES.flatMap((kind) => KINDS[kind].responseTypes.map((name) => [name, kind] as const)),
)

/** The kind that a `response_type` names; null when it is not known. */
export function kindOfResponseType(name: string): Kind | null {
  return BY_RESPONSE_TYPE.get(name) ?? null
}

/** Whether a job of this type can have chunks. One of a kind that is not known yet is looked through. */
export function mayHaveChunks(type: string | null): boolean {
  return !isKind(type) || KINDS[type].chunks !== undefined || Object.keys(partsWithChunks(type)).length > 0
}

/** The parts of a kind that have chunks themselves. */
export function partsWithChunks(kind: Kind): Readonly<Record<string, PartSpec>> {
  const { has } = KINDS[kind]
  if (!('parts' in has)) return {}
  return Object.fromEntries(Object.entries(has.parts).filter(([, part]) => KINDS[part.kind].chunks !== undefined))
}
