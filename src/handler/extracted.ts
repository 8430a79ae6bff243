import { type Answer, type Node, noSuchPart } from './answer.ts'
import type { Citation, FieldCitations } from './handler.ts'

/** One extraction: its fields, and what says where they come from. */
type Extraction = { readonly values: unknown; readonly citations: unknown; readonly isV3: boolean }

/** What `extracted()` promises. */
export async function extractedOf(answer: Answer): Promise<unknown> {
  const extractions = await extractionsOf(answer)
  return onlyOne(extractions.map(({ values, isV3 }) => onlyOne(isV3 ? plain(values) : values)))
}

/** What `citations()` promises. */
export async function citationsOf(answer: Answer): Promise<readonly FieldCitations[]> {
  const extractions = await extractionsOf(answer)
  const found: FieldCitations[] = []
  for (const [index, { values, citations, isV3 }] of extractions.entries()) {
    const base = extractions.length === 1 ? '' : `/${index}`
    const tree = onlyOne(isV3 ? values : citations)
    collect(tree, base, isV3 ? citedLeaf : citedPlaces, found)
  }
  return found
}

async function extractionsOf(answer: Answer): Promise<readonly Extraction[]> {
  const { type } = answer.record
  const response = await answer.response()
  if (type !== 'Pipeline') {
    if (type !== null && type !== 'Extract') throw noSuchPart(answer.record, 'extracted fields')
    return [await extractionOf(answer, response)]
  }
  const extract = await answer.member(response, 'result', 'extract')
  if (extract.value === null || extract.value === undefined) throw noSuchPart(answer.record, 'extracted fields')
  if (!Array.isArray(extract.value)) return [await extractionOf(answer, extract)]
  // Of each part that the document was split into.
  const parts = extract.value.map((_, index) => answer.member(extract, index, 'result'))
  return Promise.all(parts.map(async (part) => extractionOf(answer, await part)))
}

/** `node` is a response, or, where the whole response was behind a link, maybe the bare value. */
async function extractionOf(answer: Answer, node: Node): Promise<Extraction> {
  const response = node.value as { response_type?: unknown; citations?: unknown } | null
  if (typeof response !== 'object' || response === null || !('result' in response))
    return { values: node.value, citations: null, isV3: !Array.isArray(node.value) }
  const result = await answer.member(node, 'result')
  if (result.response) return extractionOf(answer, result.response)
  // The field is new; before, only the older form had citations of its own.
  const isV3 = response.response_type === 'v3_extract' || (!response.response_type && !('citations' in response))
  return { values: result.value, citations: response.citations ?? null, isV3 }
}

/** Reducto gives one set of fields as an array of one. */
function onlyOne(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value
}

/** V3's `{value, citations}` around each value, taken off. */
function plain(value: unknown): unknown {
  if (isCited(value)) return plain(value.value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

function isCited(value: unknown): value is { value: unknown; citations: readonly Citation[] } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { citations } = value as { citations?: unknown }
  return Object.keys(value).length === 2 && 'value' in value && (citations === null || Array.isArray(citations))
}

type CitationsAt = (value: unknown) => readonly Citation[] | null

const citedLeaf: CitationsAt = (value) => (isCited(value) ? (value.citations ?? []) : null)

/** The older form has a tree of its own, where an array of places stands for a value. */
const citedPlaces: CitationsAt = (value) => {
  if (!Array.isArray(value) || value.length === 0) return null
  const places = value.every((place) => typeof place === 'object' && place !== null && 'bbox' in place)
  return places ? (value as readonly Citation[]) : null
}

function collect(value: unknown, pointer: string, citationsAt: CitationsAt, into: FieldCitations[]): void {
  const citations = citationsAt(value)
  if (citations) {
    if (citations.length > 0) into.push({ pointer, citations })
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value))
    collect(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, citationsAt, into)
}
