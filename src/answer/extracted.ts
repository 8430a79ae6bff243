import { isLosslessNumber } from '../lossless-json.ts'
import { type Documents, own } from './documents.ts'
import { type OpenResponse, responsesOf } from './parts.ts'
import { pointerStep } from './pointer.ts'
import type { Citation, FieldCitations } from './types.ts'

/** One extraction: its fields and their sources in the document. */
type Extraction = { readonly values: unknown; readonly citations: unknown; readonly isV3: boolean }

/** Implements `extracted()`. */
export async function extractedOf(documents: Documents, type: string | null): Promise<unknown> {
  const extractions = await extractionsOf(documents, type)
  return onlyOne(extractions.map(({ values, isV3 }) => onlyOne(isV3 ? uncited(values) : values)))
}

/** Implements `citations()`. */
export async function citationsOf(documents: Documents, type: string | null): Promise<readonly FieldCitations[]> {
  const extractions = await extractionsOf(documents, type)
  const found: FieldCitations[] = []
  for (const [index, { values, citations, isV3 }] of extractions.entries()) {
    const base = extractions.length === 1 ? '' : `/${index}`
    const tree = onlyOne(isV3 ? values : citations)
    collect(tree, base, isV3 ? citedLeaf : citedArray, found)
  }
  return found
}

async function extractionsOf(documents: Documents, type: string | null): Promise<readonly Extraction[]> {
  return (await responsesOf(documents, type, 'Extract', 'extracted fields')).map(extractionOf)
}

function extractionOf({ envelope, result }: OpenResponse): Extraction {
  const citations = own(envelope, 'citations') ?? null
  return {
    values: result.value,
    citations,
    isV3: isV3(own(envelope, 'response_type'), citations, envelope, result.value),
  }
}

/**
 * V3 has citations around each value. `response_type` says so where it is sent. Without it: V3 has no citations in the
 * response, and its values are an object where the older form has a list.
 */
function isV3(responseType: unknown, citations: unknown, envelope: unknown, values: unknown): boolean {
  if (responseType === 'v3_extract') return true
  if (responseType === 'extract' || citations !== null) return false
  return !Array.isArray(values) || (envelope !== null && own(envelope, 'citations') === undefined)
}

/** Reducto returns one set of fields as an array of one item. */
function onlyOne(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value
}

/** Removes V3's `{value, citations}` around each value. */
function uncited(value: unknown): unknown {
  if (isCited(value)) return uncited(value.value)
  if (Array.isArray(value)) return value.map(uncited)
  if (typeof value !== 'object' || value === null || isLosslessNumber(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, uncited(member)]))
}

/**
 * A value with its citations, whatever else Reducto writes beside them. Customers also have fields named value and
 * citations: V3 puts citations of its own around these, and their contents are not positions in a document.
 */
function isCited(value: unknown): value is { value: unknown; citations: readonly Citation[] } {
  if (!hasBoth(value)) return false
  const { citations } = value
  if (hasBoth(value.value)) return false
  return citations === null || (Array.isArray(citations) && citations.every(isCitation))
}

function isCitation(citation: unknown): boolean {
  return typeof citation === 'object' && citation !== null && !Array.isArray(citation) && !hasBoth(citation)
}

function hasBoth(value: unknown): value is { value: unknown; citations: unknown } {
  return (
    typeof value === 'object' && value !== null && Object.hasOwn(value, 'value') && Object.hasOwn(value, 'citations')
  )
}

type CitationsAt = (value: unknown) => readonly Citation[] | null

const citedLeaf: CitationsAt = (value) => (isCited(value) ? (value.citations ?? []) : null)

/** The older form has a separate tree, in which an array of citations stands for a value. */
const citedArray: CitationsAt = (value) => {
  if (!Array.isArray(value) || value.length === 0) return null
  const areCitations = value.every((item) => typeof item === 'object' && item !== null && 'bbox' in item)
  return areCitations ? (value as readonly Citation[]) : null
}

function collect(value: unknown, pointer: string, citationsAt: CitationsAt, into: FieldCitations[]): void {
  const citations = citationsAt(value)
  if (citations) {
    if (citations.length > 0) into.push({ pointer, citations })
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value))
    collect(member, `${pointer}/${pointerStep(name)}`, citationsAt, into)
}
