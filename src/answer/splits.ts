import { type Documents, own } from './documents.ts'
import { noSuchPart, responsesOf } from './parts.ts'
import type { DeepSplitPageEvidence, Split } from './types.ts'

/** A part as Reducto returns it: pages by number, or, for a deep split, with evidence for each page. */
type Part = {
  readonly name: string
  readonly pages?: readonly (number | DeepSplitPageEvidence)[] | null
  readonly conf?: 'high' | 'low' | null
  readonly partitions?: readonly Part[] | null
}

/** Implements `splits()`. */
export async function splitsOf(documents: Documents, type: string | null): Promise<readonly Split[]> {
  const [response] = await responsesOf(documents, type, 'Split', 'splits')
  const parts = partsIn(response?.result.value)
  if (parts === null) throw noSuchPart(type, 'splits')
  return parts.map(toSplit)
}

/** A result can also have only the pages of each section. */
function partsIn(result: unknown): readonly Part[] | null {
  const splits = own(result, 'splits')
  if (Array.isArray(splits)) return splits
  const sections = own(result, 'section_mapping')
  if (typeof sections !== 'object' || sections === null) return null
  return Object.entries(sections).map(([name, pages]) => ({ name, pages }))
}

function toSplit({ name, pages, conf, partitions }: Part): Split {
  const given = pages ?? []
  const isDeep = given.some((page) => typeof page === 'object')
  return {
    name,
    pages: given.map((page) => (typeof page === 'object' ? page.page_number : page)),
    conf: conf ?? null,
    evidence: isDeep ? (given as readonly DeepSplitPageEvidence[]) : null,
    partitions: (partitions ?? []).map(toSplit),
  }
}
