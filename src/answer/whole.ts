import { type AnswerNode, type Documents, openDocuments, own, type SavedFiles } from './documents.ts'
import { isKind, KINDS, type Kind } from './kinds.ts'
import { openResponse, partNodes } from './parts.ts'

/** Implements `job()`: the answer with every saved result back in its place. The caller may modify it. */
export async function wholeAnswer(saved: SavedFiles): Promise<unknown> {
  // Separate documents: no other accessor sees the caller's modifications.
  const documents = await openDocuments(saved)
  const root = await documents.root()
  const response = documents.child(root, 'result')
  if (response.value === undefined) return root.value
  const { type } = saved
  const result = isKind(type)
    ? await inlined(documents, response, type)
    : await inlinedUnknown(documents, response, true)
  return { ...(root.value as object), result }
}

/** The response at `node`, with its results in their places. */
async function inlined(documents: Documents, node: AnswerNode, kind: Kind): Promise<unknown> {
  const { has } = KINDS[kind]
  if ('document' in has) return inlinedUnknown(documents, node, true)
  const { response, result } = await openResponse(documents, node, kind)
  // It is neither a response nor a link to one.
  if (response === null && result.document === node.document && result.pointer === node.pointer) return node.value
  const value = 'parts' in has ? await withParts(documents, result, kind) : result.value
  return { ...response, result: value }
}

async function withParts(documents: Documents, result: AnswerNode, kind: Kind): Promise<unknown> {
  const { has } = KINDS[kind]
  if (!('parts' in has) || typeof result.value !== 'object' || result.value === null) return result.value
  const whole: Record<string, unknown> = { ...result.value }
  for (const [name, spec] of Object.entries(has.parts)) {
    const there = own(result.value, name)
    const nodes = partNodes(documents, result, name, spec)
    const values: unknown[] = []
    for (const node of nodes) values.push(await inlined(documents, node, spec.kind))
    if (!spec.list || !Array.isArray(there)) {
      if (nodes.length > 0) whole[name] = values[0]
      continue
    }
    const { inItem } = spec
    whole[name] = values.map((value, index) =>
      inItem === undefined ? value : { ...(there[index] as object), [inItem]: value },
    )
  }
  return whole
}

/** For an unknown kind: the target of a link replaces it, unless it is not JSON. */
async function inlinedUnknown(documents: Documents, node: AnswerNode, isResponse: boolean): Promise<unknown> {
  const target = await documents.followJson(node)
  if (target) return inlinedUnknown(documents, target, true)
  const { value } = node
  if (!isResponse || typeof value !== 'object' || value === null || !Object.hasOwn(value, 'result')) return value
  return { ...value, result: await inlinedUnknown(documents, documents.child(node, 'result'), false) }
}
