import { type Answer, type Node, noSuchPart } from './answer.ts'
import type { DeepSplitPageEvidence, Split } from './handler.ts'

/** A part as Reducto gives it: pages by number, or, of a deep split, with evidence for each. */
type Part = {
  readonly name: string
  readonly pages: readonly (number | DeepSplitPageEvidence)[]
  readonly conf?: 'high' | 'low' | null
  readonly partitions?: readonly Part[] | null
}

/** What `splits()` promises. */
export async function splitsOf(answer: Answer): Promise<readonly Split[]> {
  const { type } = answer.record
  if (type !== null && type !== 'Split' && type !== 'Pipeline') throw noSuchPart(answer.record, 'splits')
  const response = await answer.response()
  const split = type === 'Pipeline' ? await answer.member(response, 'result', 'split') : response
  const parts = (await answer.member(await resultOf(answer, split), 'splits')).value
  if (!Array.isArray(parts)) throw noSuchPart(answer.record, 'splits')
  return (parts as Part[]).map(normal)
}

/** Where the whole response was behind a link, it may have been the result itself. */
async function resultOf(answer: Answer, split: Node): Promise<Node> {
  const isResult = typeof split.value === 'object' && split.value !== null && 'splits' in split.value
  return isResult ? split : answer.member(split, 'result')
}

function normal(part: Part): Split {
  const isDeep = part.pages.some((page) => typeof page === 'object')
  return {
    name: part.name,
    pages: part.pages.map((page) => (typeof page === 'object' ? page.page_number : page)),
    conf: part.conf ?? null,
    evidence: isDeep ? (part.pages as readonly DeepSplitPageEvidence[]) : null,
    partitions: (part.partitions ?? []).map(normal),
  }
}
