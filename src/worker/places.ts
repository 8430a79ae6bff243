import { type Link, pointerOf, type Scan } from './scan.ts'

/** A link that expires, found where its kind of document has one. */
export type Place = {
  readonly pointer: string
  /** The member's name, for the file's. */
  readonly field: string
  readonly url: string
  /** Without it the job has no result; a side file may be missing. */
  readonly essential: boolean
  /** What the linked document is, when it is to be scanned for links itself. */
  readonly contents: Role | null
}

/** What a document is: a job's answer, or a result of a kind that was downloaded. */
export type Role = 'job' | 'parse' | 'pipeline' | 'values' | 'unknown'

/** Kinds by the answer's `type`. */
export type Kind = 'Parse' | 'Extract' | 'Split' | 'Edit' | 'Pipeline' | 'Classify'

const KINDS: ReadonlySet<string> = new Set(['Parse', 'Extract', 'Split', 'Edit', 'Pipeline', 'Classify'])

/** `result.response_type`, which the API sends and the SDK's types lack. */
const RESPONSE_TYPES: ReadonlyMap<string, Kind> = new Map(
  Object.entries({
    parse: 'Parse',
    extract: 'Extract',
    v3_extract: 'Extract',
    split: 'Split',
    edit: 'Edit',
    pipeline: 'Pipeline',
    classify: 'Classify',
  } as const),
)

/** A block's links, in its chunk. `*` stands for an array index. */
const BLOCK = String.raw`\*/blocks/\*/(?:image_url|chart_data/\*|extra/page_image_url)`
/** A parse response's links. */
const PARSE = `(?:pdf_url|result/url|result/chunks/${BLOCK})`
/** A pipeline result's links: those of its parts. */
const PIPELINE = [
  String.raw`parse(?:/\*)?/${PARSE}`,
  String.raw`extract(?:/\*/result)?/result/url`,
  'split/result/url',
  'edit/document_url',
].join('|')

/** Where the links of each kind of answer stand. Everything else that looks like one is the customer's data. */
const PLACES: Readonly<Record<Kind | Exclude<Role, 'job'>, RegExp>> = {
  Parse: new RegExp(`^result/${PARSE}$`),
  Extract: /^result(?:\/result)?\/url$/,
  Split: /^result(?:\/result)?\/url$/,
  Classify: /^result(?:\/result)?\/url$/,
  Edit: /^result\/(?:document_url|url|result\/url)$/,
  Pipeline: new RegExp(`^result/(?:result/(?:${PIPELINE})|(?:result/)?url)$`),
  // A downloaded parse result is a bare array of chunks, a full result, or a whole parse response.
  parse: new RegExp(`^(?:${BLOCK}|(?:result/)?chunks/${BLOCK}|pdf_url)$`),
  // A downloaded pipeline result is that result, or a whole response.
  pipeline: new RegExp(`^(?:result/)?(?:${PIPELINE})$`),
  // Extracted values, splits: whatever is in them is data.
  values: /(?!)/,
  // A kind that does not exist yet: by name, outside of what is surely data.
  unknown: /^(?!.*(?:^|\/)(?:extract|citations|metadata|raw_config|source)\/)/,
}

/** The kind of a job's answer; null when it cannot be told. A type that is not known yet is passed on as it is. */
export function typeOf({ outline }: Scan): string | null {
  const type = outline.get('/type')
  if (typeof type === 'string') return type
  const responseType = outline.get('/result/response_type')
  if (typeof responseType === 'string') return RESPONSE_TYPES.get(responseType) ?? responseType
  return typeByShape(outline)
}

/** Extracted values can have any names, so an extraction is recognised before the result's own shape is looked at. */
function typeByShape(outline: Scan['outline']): Kind | null {
  const has = (pointer: string) => outline.has(pointer)
  if (has('/result/usage/num_fields')) return 'Extract'
  if (typeof outline.get('/result/document_url') === 'string') return 'Edit'
  if (has('/result/result/parse') || has('/result/result/extract') || has('/result/result/split')) return 'Pipeline'
  if (has('/result/result/splits') || has('/result/result/section_mapping')) return 'Split'
  if (typeof outline.get('/result/result/category') === 'string') return 'Classify'
  if (has('/result/result/chunks') || (outline.get('/result/result/type') === 'url' && has('/result/duration')))
    return 'Parse'
  if (has('/result/citations')) return 'Extract'
  return null
}

/** What the worker needs of a document. Small, however large the document: it may come from another thread. */
export type Reading = {
  readonly outline: Scan['outline']
  readonly type: string | null
  readonly places: readonly Place[]
}

export function readingOf(scan: Scan, role: Role): Reading {
  return { outline: scan.outline, type: role === 'job' ? typeOf(scan) : null, places: placesOf(scan, role) }
}

/** The links of a document that are to be saved, one for each pointer, the essential ones first. */
export function placesOf(scan: Scan, role: Role): readonly Place[] {
  const type = role === 'job' ? typeOf(scan) : null
  const kind = type !== null && KINDS.has(type) ? (type as Kind) : null
  const allowed = PLACES[role === 'job' ? (kind ?? 'unknown') : role]
  const found = new Map<string, Place>()
  for (const link of scan.links) {
    const pattern = link.path.map((step) => (typeof step === 'number' ? '*' : pointerOf([step]).slice(1))).join('/')
    if (!allowed.test(pattern)) continue
    // An object of the customer's own can be called `url`; Reducto's is wrapped.
    if (/(?:^|\/)url$/.test(pattern) && !link.wrapped) continue
    if (
      kind === null &&
      role !== 'parse' &&
      role !== 'pipeline' &&
      link.wrapped &&
      !/^result(?:\/result)?\/url$/.test(pattern)
    )
      continue
    if (kind === null && role === 'job' && !pattern.startsWith('result/')) continue
    const pointer = pointerOf(link.path)
    found.set(pointer, placeOf(link, pointer, pattern, role === 'pipeline' ? 'Pipeline' : kind))
  }
  return [...found.values()].sort((a, b) => Number(b.essential) - Number(a.essential))
}

function placeOf(link: Link, pointer: string, pattern: string, kind: Kind | null): Place {
  const last = link.path.at(-1)
  const field = String(typeof last === 'number' ? link.path.at(-2) : last)
  const edited = field === 'document_url'
  return {
    pointer,
    field,
    url: link.url,
    essential: link.wrapped || edited,
    contents: link.wrapped ? contentsOf(pattern, kind) : null,
  }
}

function contentsOf(pattern: string, kind: Kind | null): Role {
  if (kind === null) return 'unknown'
  if (kind === 'Parse' || (kind === 'Pipeline' && /(?:^|\/)parse\//.test(pattern))) return 'parse'
  return kind === 'Pipeline' && /^result(?:\/result)?\/url$/.test(pattern) ? 'pipeline' : 'values'
}
