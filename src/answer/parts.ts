import type { AnswerNode, Documents } from './documents.ts'
import { NotAnswerable } from './errors.ts'
import { isKind, KINDS, type Kind, type PartSpec } from './kinds.ts'
import type { Level } from './plan.ts'
import { isResponse } from './response.ts'

/** A response with its result, wherever they were saved. */
export type OpenResponse = {
  /** The object around the result at the position of the response; null when only a result was found there. */
  readonly response: Readonly<Record<string, unknown>> | null
  /** The innermost response around the result: the one with its citations. */
  readonly envelope: Readonly<Record<string, unknown>> | null
  readonly result: AnswerNode
}

/** Opens the response at `node`, of a known kind. */
export async function openResponse(documents: Documents, node: AnswerNode, kind: Kind): Promise<OpenResponse> {
  const target = await documents.follow(node)
  if (target) return openLinked(documents, target, kind, 'response', null)
  const { value } = node
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { response: null, envelope: null, result: node }
  const response = value as Record<string, unknown>
  return openResult(documents, documents.child(node, 'result'), kind, { response, envelope: response })
}

type Around = Pick<OpenResponse, 'response' | 'envelope'>

async function openResult(documents: Documents, node: AnswerNode, kind: Kind, around: Around): Promise<OpenResponse> {
  const target = await documents.follow(node)
  return target ? openLinked(documents, target, kind, 'result', around) : { ...around, result: node }
}

/** Opens the target of a link: a whole response, a result, or another link. */
async function openLinked(
  documents: Documents,
  target: AnswerNode,
  kind: Kind,
  level: Level,
  around: Around | null,
): Promise<OpenResponse> {
  if (isResponse(target.value, kind, level)) {
    const envelope = target.value as Record<string, unknown>
    const response = around ? around.response : envelope
    return openResult(documents, documents.child(target, 'result'), kind, { response, envelope })
  }
  const further = await documents.follow(target)
  if (further) return openLinked(documents, further, kind, level, around)
  return {
    ...(around ?? { response: null, envelope: null }),
    result: { ...target, value: unbared(target.value, kind) },
  }
}

/** Rebuilds a result of which only the bare array was found. */
function unbared(value: unknown, kind: Kind): unknown {
  const { bare, chunks } = KINDS[kind]
  if (!Array.isArray(value) || bare === undefined) return value
  return bare === chunks ? { type: 'full', [bare]: value } : { [bare]: value }
}

/**
 * The responses of a kind in an answer: the answer's own, or those of its pipeline's parts in order. `isList`: they
 * were in a list. Throws NotAnswerable when a job of this type has none; `part` is its name, for the message.
 */
export async function responsesOf(
  documents: Documents,
  type: string | null,
  kind: Kind,
  part: string,
): Promise<readonly OpenResponse[]> {
  const response = documents.child(await documents.root(), 'result')
  if (type === null || type === kind) return [await openResponse(documents, response, kind)]
  const parts = isKind(type) && 'parts' in KINDS[type].has ? KINDS[type].has.parts : {}
  const found = Object.entries(parts).find(([, spec]) => spec.kind === kind)
  if (!found || !isKind(type)) throw noSuchPart(type, part)
  const { result } = await openResponse(documents, response, type)
  const nodes = partNodes(documents, result, ...found)
  if (nodes.length === 0) throw noSuchPart(type, part)
  const opened: OpenResponse[] = []
  for (const node of nodes) opened.push(await openResponse(documents, node, kind))
  return opened
}

/** The nodes of a part's responses. */
export function partNodes(
  documents: Documents,
  result: AnswerNode,
  name: string,
  spec: PartSpec,
): readonly AnswerNode[] {
  const there = documents.child(result, name)
  if (there.value === null || there.value === undefined) return []
  if (!spec.list || !Array.isArray(there.value)) return [there]
  const inItem = spec.inItem === undefined ? [] : [spec.inItem]
  return there.value.map((_, index) => documents.child(there, index, ...inItem))
}

/** The error for an accessor that was used on a job of another kind. */
export function noSuchPart(type: string | null, part: string): NotAnswerable {
  return new NotAnswerable(`this job is of type ${type ?? 'unknown'}: it has no ${part}`)
}
