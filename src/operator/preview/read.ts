import type { Chunk, Citation, CompletedResult, FieldCitations, Result, Split } from '../../handler/handler.ts'
import { isLosslessNumber, stringifyLossless } from '../../lossless-json.ts'

/** What of a saved result is shown, in the order of the page. Everything in it is others' text, and bounded. */
export type Section =
  | { readonly is: 'fields'; readonly rows: readonly Field[]; readonly more: number }
  | { readonly is: 'parts'; readonly parts: readonly Part[]; readonly pages: number }
  | { readonly is: 'chunks'; readonly chunks: readonly (readonly Block[])[]; readonly isMore: boolean }
  | { readonly is: 'classes'; readonly classes: readonly Class[] }
  | { readonly is: 'form'; readonly rows: readonly FormField[]; readonly more: number }
  | { readonly is: 'tree'; readonly value: unknown }
  | { readonly is: 'text'; readonly text: string }

/** `spots`: where on which pages the value was read. */
type Field = { readonly path: string; readonly text: string; readonly spots: readonly Spot[] }
export type Part = {
  readonly name: string
  readonly depth: number
  readonly pages: readonly number[]
  readonly isUnsure: boolean
}
/** `image`: where its picture is saved. */
export type Block = {
  readonly type: string
  readonly text: string
  readonly spot: Spot | null
  readonly image: string | null
}
type Class = { readonly name: string; readonly confidence: number | null; readonly isChosen: boolean }
type FormField = {
  readonly name: string
  readonly type: string
  readonly text: string
  readonly isLeftOpen: boolean
  readonly spot: Spot | null
}

/** A page, and a box on it in shares of the page; null where only the page is known. */
export type Spot = {
  readonly page: number
  readonly box: { readonly left: number; readonly top: number; readonly width: number; readonly height: number } | null
}

/** More are in the file. */
const MAX_FIELDS = 500
const MAX_PARTS = 200
const MAX_CHUNKS = 20
const MAX_BLOCKS = 400
/** Characters of a block: a table of a large page; and of a value. */
const MAX_BLOCK_CHARS = 20_000
const MAX_FIELD_CHARS = 2_000
/** Characters of all texts of a page together: it is rendered anew whenever it refreshes. */
const MAX_TEXT_CHARS = 300_000
/** Values that are walked over to say how many more there are. */
const MAX_COUNTED = 100_000
/** Pages of a part that are told apart. */
const MAX_PAGES = 2_000
/**
 * Documents of more than this, together, are not parsed for a page, bytes. The thread that accepts deliveries parses them, twice
 * where there are citations, and 1 MiB takes up to 0.2 s.
 */
const MAX_PARSED_BYTES = 2 * 1024 * 1024

/** Reads what a page shows of a result. Every part that cannot be read is left out; `text` says why where nothing can. */
export async function readSections(result: Result): Promise<readonly Section[]> {
  if (result.status !== 'Completed')
    return [
      { is: 'text', text: result.reason ?? `Reducto ended the job as ${result.record.status}, and gave no reason.` },
    ]
  const found: Section[] = []
  const isSmall = (await parsedBytes(result)) <= MAX_PARSED_BYTES
  const kind = result.record.type
  const isUnknown = kind === null || !Object.hasOwn(READERS, kind)
  for (const read of isUnknown ? [] : READERS[kind]!)
    if (isSmall || read === readChunks) found.push(...(await orNothing(read(result))))
  if (found.length > 0) return found
  if (isSmall) return [{ is: 'tree', value: await result.job() }]
  return [{ is: 'text', text: 'The result is too large to be shown here; its files can be downloaded.' }]
}

type Read = (result: CompletedResult) => Promise<readonly Section[]>

/** Of each kind, what is shown. */
const READERS: Readonly<Record<string, readonly Read[]>> = {
  Extract: [readFields],
  Parse: [readChunks],
  Split: [readParts],
  Classify: [readClasses],
  Edit: [readForm],
  Pipeline: [readFields, readParts, readChunks, readForm],
}

/** A part of another kind is not there; one that is damaged is no reason to show nothing. */
async function orNothing(reading: Promise<readonly Section[]>): Promise<readonly Section[]> {
  return reading.catch((error: Error) => {
    if (error.name === 'Permanent') return []
    throw error
  })
}

/** Bytes of the answer and of what was saved for its links to results. */
async function parsedBytes(result: Result): Promise<number> {
  let bytes = result.record.job.bytes
  for await (const entry of result.files()) if ('path' in entry && entry.pointer.endsWith('/url')) bytes += entry.bytes
  return bytes
}

async function readFields(result: CompletedResult): Promise<readonly Section[]> {
  const values = await result.extracted()
  const spots = spotsByPointer(await result.citations())
  const text = textBudget()
  const rows: Field[] = []
  let more = 0
  for (const leaf of leavesOf(values)) {
    if (rows.length < MAX_FIELDS && !text.isSpent()) {
      const { pointer, path } = placeOf(leaf)
      rows.push({ path, text: text.cut(leafText(leaf.value), MAX_FIELD_CHARS), spots: spots.get(pointer) ?? [] })
    } else if (++more === MAX_COUNTED) break
  }
  return [{ is: 'fields', rows, more }]
}

/** A value of a document, and the way to it. */
type Leaf = { readonly value: unknown; readonly way: Way | null }
type Way = { readonly name: string; readonly isItem: boolean; readonly before: Way | null }

/** The values of a document in their order. Without recursion: what a step costs must not grow with the depth. */
function* leavesOf(root: unknown): Generator<Leaf> {
  const open: Leaf[] = [{ value: root, way: null }]
  for (let leaf = open.pop(); leaf !== undefined; leaf = open.pop()) {
    const { value, way } = leaf
    const isLeaf = typeof value !== 'object' || value === null || isLosslessNumber(value)
    const members = isLeaf ? [] : Object.entries(value)
    if (members.length === 0) yield leaf
    const isItem = Array.isArray(value)
    for (const [name, inner] of members.reverse()) open.push({ value: inner, way: { name, isItem, before: way } })
  }
}

/** As a pointer, and as people write it: `lines[1].amount`, from 1. */
function placeOf({ way }: Leaf): { readonly pointer: string; readonly path: string } {
  const steps: Way[] = []
  for (let step = way; step !== null; step = step.before) steps.push(step)
  steps.reverse()
  const pointer = steps.map(({ name }) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  const path = steps.map(({ name, isItem }) => (isItem ? `[${Number(name) + 1}]` : `.${name}`)).join('')
  return { pointer, path: (path.startsWith('.') ? path.slice(1) : path) || 'value' }
}

/** Counts the characters of a page's texts. */
function textBudget() {
  let left = MAX_TEXT_CHARS
  return {
    isSpent: () => left <= 0,
    /** The text, cut where it is longer than this, or than what is left. */
    cut(text: string, longest: number): string {
      const room = Math.min(longest, Math.max(left, 0))
      left -= text.length
      return text.length > room ? `${text.slice(0, room)}…` : text
    },
  }
}

function leafText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === null || value === undefined ? '–' : stringifyLossless(value)
}

/** Citations stand beside the value, or beside an object around it. */
function spotsByPointer(citations: readonly FieldCitations[]): ReadonlyMap<string, readonly Spot[]> {
  return new Map(citations.map((one) => [one.pointer, one.citations.flatMap((citation) => spotOf(citation) ?? [])]))
}

function spotOf(around: Pick<Citation, 'bbox'> | { readonly bbox?: unknown }): Spot | null {
  const box = around.bbox as Readonly<Record<string, unknown>> | null | undefined
  const page = numberOf(box?.original_page) ?? numberOf(box?.page)
  if (page === null) return null
  const [left, top, width, height] = ['left', 'top', 'width', 'height'].map((name) => numberOf(box?.[name]))
  const isBox = [left, top, width, height].every(
    (side) => side !== null && side !== undefined && side >= 0 && side <= 1,
  )
  return { page, box: isBox ? { left: left!, top: top!, width: width!, height: height! } : null }
}

/** A finite number, also one that is kept as it was written. */
function numberOf(value: unknown): number | null {
  const number = isLosslessNumber(value) ? Number(value.rawJSON) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : null
}

async function readParts(result: CompletedResult): Promise<readonly Section[]> {
  const parts: Part[] = []
  function add(splits: readonly Split[], depth: number): void {
    for (const { name, pages, conf, partitions } of splits) {
      if (parts.length >= MAX_PARTS) return
      const numbers = pagesOf(pages)
      parts.push({ name: String(name), depth, pages: numbers, isUnsure: conf === 'low' })
      add(partitions, depth + 1)
    }
  }
  add(await result.splits(), 0)
  const pages = parts.reduce((most, part) => part.pages.reduce((a, b) => Math.max(a, b), most), 0)
  return [{ is: 'parts', parts, pages }]
}

function pagesOf(pages: readonly unknown[]): readonly number[] {
  const found = new Set<number>()
  for (const given of pages) {
    const page = numberOf(given)
    if (page !== null && Number.isInteger(page) && page >= 1) found.add(page)
    if (found.size === MAX_PAGES) break
  }
  return [...found]
}

async function readChunks(result: CompletedResult): Promise<readonly Section[]> {
  const images = await imagesOf(result)
  const text = textBudget()
  const chunks: (readonly Block[])[] = []
  let [blocks, isMore] = [0, false]
  for await (const chunk of result.chunks()) {
    if (chunks.length >= MAX_CHUNKS || blocks >= MAX_BLOCKS || text.isSpent()) {
      isMore = true
      break
    }
    const read: Block[] = []
    for (const block of blocksOf(chunk, chunks.length, images)) {
      isMore = read.length >= MAX_BLOCKS - blocks || text.isSpent()
      if (isMore) break
      read.push({ ...block, text: text.cut(block.text, MAX_BLOCK_CHARS) })
    }
    blocks += read.length
    chunks.push(read)
  }
  return [{ is: 'chunks', chunks, isMore }]
}

function blocksOf(chunk: Chunk, index: number, images: ReadonlyMap<string, string>): Block[] {
  const given = Array.isArray(chunk?.blocks) ? chunk.blocks : []
  if (given.length === 0) return [{ type: 'Text', text: String(chunk?.content ?? ''), spot: null, image: null }]
  return given.map((block, at) => ({
    type: String(block?.type ?? 'Text'),
    text: String(block?.content ?? ''),
    spot: block ? spotOf(block) : null,
    image: images.get(`/chunks/${index}/blocks/${at}/image_url`) ?? null,
  }))
}

/** Saved pictures by the end of their link's pointer; one that two documents have belongs to neither. */
async function imagesOf(result: CompletedResult): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string | null>()
  for await (const entry of result.files()) {
    const end = 'path' in entry ? /(?:\/chunks)?\/\d+\/blocks\/\d+\/image_url$/.exec(entry.pointer)?.[0] : undefined
    if (end === undefined || !('path' in entry)) continue
    const key = end.startsWith('/chunks') ? end : `/chunks${end}`
    found.set(key, found.has(key) ? null : entry.path)
  }
  return new Map([...found].flatMap(([key, path]) => (path === null ? [] : [[key, path] as const])))
}

async function readClasses(result: CompletedResult): Promise<readonly Section[]> {
  const response = memberOf(await result.job(), 'result')
  const chosen = memberOf(memberOf(response, 'result'), 'category')
  if (typeof chosen !== 'string') return []
  const listed = memberOf(memberOf(response, 'response_confidence'), 'categories')
  const classes = (Array.isArray(listed) ? listed : []).slice(0, MAX_FIELDS).flatMap((one: unknown) => {
    const name = memberOf(one, 'category')
    const confidence = numberOf(memberOf(one, 'confidence'))
    return typeof name === 'string' ? [{ name, confidence, isChosen: name === chosen }] : []
  })
  const all = classes.some(({ isChosen }) => isChosen)
    ? classes
    : [{ name: chosen, confidence: null, isChosen: true }, ...classes]
  return [{ is: 'classes', classes: all.toSorted((a, b) => Number(b.isChosen) - Number(a.isChosen)) }]
}

async function readForm(result: CompletedResult): Promise<readonly Section[]> {
  const response = memberOf(await result.job(), 'result')
  const schema =
    memberOf(response, 'form_schema') ?? memberOf(memberOf(memberOf(response, 'result'), 'edit'), 'form_schema')
  if (!Array.isArray(schema)) return []
  const text = textBudget()
  const rows = schema.slice(0, MAX_FIELDS).map((widget: unknown) => ({
    name: text.cut(String(memberOf(widget, 'description') ?? '–'), MAX_FIELD_CHARS),
    type: text.cut(String(memberOf(widget, 'type') ?? ''), MAX_FIELD_CHARS),
    text: text.cut(leafText(memberOf(widget, 'value')), MAX_FIELD_CHARS),
    isLeftOpen: memberOf(widget, 'fill') === false,
    spot: spotOf({ bbox: memberOf(widget, 'bbox') }),
  }))
  return [{ is: 'form', rows, more: schema.length - rows.length }]
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
}
