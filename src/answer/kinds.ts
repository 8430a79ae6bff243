/**
 * What Reducto's answers look like: the one table that knows the kinds of jobs. Everything else is derived from it:
 * what the scan keeps of a document, the links that are followed, what a job must have to be done, how its kind is
 * recognised, where chunks are. A new kind of job is a new entry (and a document in the simulator).
 *
 * Every kind has the same frame: an answer has a *response* at `/result`, and a response has a *result* at `result`
 * within it. Either can be a link instead, `{type: "url", url, …}`, whatever other members it has. The link leads to a
 * response or a result (docs/vendors.md#reducto-answers), and may lead to the bare array of the result's main member.
 */
export type Kind = 'Parse' | 'Extract' | 'Split' | 'Edit' | 'Pipeline' | 'Classify'

/** `*` stands for each item of an array. */
export type Pattern = string

/** The type of a member's value. `text` is a non-empty string. */
export type Shape = 'array' | 'object' | 'text' | 'scalar' | 'present'

export type KindSpec = {
  /** `response_type` within the response, which the API sends and the SDK's types lack. */
  readonly responseTypes: readonly string[]
  /**
   * How the kind is recognised when neither `type` nor `response_type` names it: any of these alternatives, each a list
   * of members of the response (`path` or `path:shape`) that must all exist. Kinds are tried in the order of the table.
   */
  readonly recognisedBy: readonly (readonly string[])[]
  /** Where links to side files are, as http(s) URLs: in the response, in the result. */
  readonly sideLinks?: { readonly response?: readonly Pattern[]; readonly result?: readonly Pattern[] }
  /** The part that a done job must have, named for messages. */
  readonly part: string
  /**
   * Where that part is. `any`: the result has one of these members. `values`: the result itself is the part, and
   * everything in it is the customer's. `document`: this member of the response links to it. `parts`: the result has
   * parts, each a whole response of another kind; at least one exists, and each existing one has its own part.
   */
  readonly has:
    | { readonly any: Readonly<Record<string, Shape>> }
    | { readonly values: true }
    | { readonly document: string }
    | { readonly parts: Readonly<Record<string, PartSpec>> }
  /** A result may also be the bare array of this member. */
  readonly bare?: string
  /** The member of a result that holds an array of chunks. */
  readonly chunks?: string
}

/**
 * A part of a pipeline: one response or a list of them. `inItem`: the member of a list item that holds the response.
 */
export type PartSpec = { readonly kind: Kind; readonly list: boolean; readonly inItem?: string }

/** The links of a block, relative to its chunk. */
const BLOCK_LINKS = ['image_url', 'chart_data/*', 'extra/page_image_url'].map((link) => `blocks/*/${link}`)

export const KINDS: Readonly<Record<Kind, KindSpec>> = {
  // Extracted values can have any names, so an extraction is recognised before the result's own shape is checked. An
  // empty array or object is a result: nothing of the schema was found. A string, a number or null is not.
  Extract: {
    responseTypes: ['extract', 'v3_extract'],
    recognisedBy: [['usage/num_fields'], ['citations']],
    part: 'extracted values',
    has: { values: true },
  },
  Edit: {
    responseTypes: ['edit'],
    recognisedBy: [['document_url'], ['form_schema']],
    part: 'edited document',
    has: { document: 'document_url' },
  },
  // A pipeline without any of these parts is empty. Empty lists of parts do not count; an empty part does.
  Pipeline: {
    responseTypes: ['pipeline'],
    recognisedBy: [['result/parse'], ['result/extract'], ['result/split'], ['result/edit']],
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
    recognisedBy: [['result/splits:array'], ['result/section_mapping']],
    part: 'splits',
    has: { any: { splits: 'array', section_mapping: 'object' } },
    bare: 'splits',
  },
  Classify: {
    responseTypes: ['classify'],
    recognisedBy: [['result/category:scalar']],
    part: 'category',
    has: { any: { category: 'text' } },
  },
  // An empty page has no chunks: an empty list is a result.
  Parse: {
    responseTypes: ['parse'],
    recognisedBy: [['result/chunks:array'], ['result/type:scalar', 'duration'], ['pdf_url']],
    sideLinks: { response: ['pdf_url'], result: BLOCK_LINKS.map((link) => `chunks/*/${link}`) },
    part: 'chunks',
    has: { any: { chunks: 'array' } },
    bare: 'chunks',
    chunks: 'chunks',
  },
}

/** For an unknown kind. */
export const UNKNOWN = {
  /** Names of members that hold links to files anywhere in the document, except below `dataNames`. */
  linkNames: new Set(['pdf_url', 'document_url', 'image_url', 'page_image_url']),
  /** Names of arrays of such links. */
  linkArrays: new Set(['chart_data']),
  /** A job without these documents has no result. */
  essential: new Set(['/result/document_url', '/result/result/document_url']),
  /**
   * Everything below these names is data: extracted values and the customer's input. A `value` beside citations is data
   * too, and so are the items of an array that is a whole result, unless they have the blocks of a chunk.
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
  /** The member that identifies an item of a bare array as a chunk. */
  chunkMember: 'blocks',
} as const

export const KIND_NAMES = Object.keys(KINDS) as readonly Kind[]

export function isKind(name: unknown): name is Kind {
  return typeof name === 'string' && Object.hasOwn(KINDS, name)
}

const BY_RESPONSE_TYPE: ReadonlyMap<string, Kind> = new Map(
  KIND_NAMES.flatMap((kind) => KINDS[kind].responseTypes.map((name) => [name, kind] as const)),
)

/** The kind that a `response_type` names; null when it is unknown. */
export function kindOfResponseType(name: string): Kind | null {
  return BY_RESPONSE_TYPE.get(name) ?? null
}

/** Whether a job of this type can have chunks. A job of an unknown kind is searched. */
export function mayHaveChunks(type: string | null): boolean {
  return !isKind(type) || KINDS[type].chunks !== undefined || Object.keys(partsWithChunks(type)).length > 0
}

/** The parts of a kind that have chunks. */
export function partsWithChunks(kind: Kind): Readonly<Record<string, PartSpec>> {
  const { has } = KINDS[kind]
  if (!('parts' in has)) return {}
  return Object.fromEntries(Object.entries(has.parts).filter(([, part]) => KINDS[part.kind].chunks !== undefined))
}
