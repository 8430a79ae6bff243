import { KIND_NAMES, KINDS, type Kind, type KindSpec, type PartSpec, type Pattern } from './kinds.ts'

/**
 * What a scan keeps, derived from the table of kinds: a tree of member names that is walked along with the document.
 * The kind of an answer may be known only at its end, so the plan of an answer combines all kinds. `uses` says which
 * kinds need a value, so that data that only one kind needs cannot exceed the bounds of another.
 */
export type Plan = {
  uses: number
  /** `shape`: only its type; text is kept as an empty string. `text`: the whole value. `link`: only http(s) URLs. */
  keep: 'shape' | 'text' | 'link' | null
  readonly names: Map<string, Plan>
  items: Plan | null
}

/** What a document is: a job's answer, or the target of a link. Opaque to the code that scans. */
export type Role = 'job' | LinkedRole
export type LinkedRole = `${Kind | 'Unknown'}.${Level}`

/**
 * Where the link was: in place of a whole response, in place of a result, or, once more, within the document found
 * there. After `last` no further links to results are followed, so that no chain of links is endless. `values`: in
 * place of something that is certainly the customer's data.
 */
export type Level = 'response' | 'result' | 'last' | 'values'

/** One bit for each kind, one for an unknown kind, one for what is read from every answer. */
export type Use = Kind | 'Unknown' | 'Common'
export const USES: readonly Use[] = [...KIND_NAMES, 'Unknown', 'Common']

/** Members of an error that replaces a result (docs/vendors.md#reducto-errors), and the members beside them. */
export const ERROR_MEMBERS = ['error', 'detail', 'message', 'code', 'status', 'name', 'type', 'request_id'] as const

const bitOf = (use: Use) => 1 << USES.indexOf(use)
const emptyPlan = (): Plan => ({ uses: 0, keep: null, names: new Map(), items: null })

const plans = new Map<Role, Plan>()

export function planFor(role: Role): Plan {
  const plan = plans.get(role) ?? (role === 'job' ? planJob() : planLinked(role))
  plans.set(role, plan)
  return plan
}

/** The kind and level of a linked document. */
export function partsOf(role: LinkedRole): { kind: Kind | 'Unknown'; level: Level } {
  const [kind, level] = role.split('.') as [Kind | 'Unknown', Level]
  return { kind, level }
}

function planJob(): Plan {
  const root = emptyPlan()
  const common = bitOf('Common')
  for (const path of ['status', 'type', 'reason', 'error', 'error/message']) keep(root, path, common, 'text')
  keep(root, '', common, 'shape')
  const response = keep(root, 'result', common, 'shape')
  for (const kind of KIND_NAMES) {
    planResponse(response, KINDS[kind], bitOf(kind))
    for (const member of KINDS[kind].recognisedBy.flat())
      cited(keep(response, member.split(':')[0]!, common, 'shape'), common)
  }
  planUnknown(response, bitOf('Unknown'))
  return root
}

function planLinked(role: LinkedRole): Plan {
  const { kind } = partsOf(role)
  const root = emptyPlan()
  if (kind === 'Unknown') planUnknown(root, bitOf(kind))
  else {
    planResponse(root, KINDS[kind], bitOf(kind))
    planResult(root, KINDS[kind], bitOf(kind))
    for (const pattern of KINDS[kind].sideLinks?.result ?? []) {
      const bare = bareOf(pattern, KINDS[kind].bare)
      if (bare) keep(root, bare, bitOf(kind), 'link')
    }
  }
  return root
}

function planResponse(response: Plan, spec: KindSpec, bit: number): void {
  planEnvelope(response, bit)
  if ('document' in spec.has) keep(response, spec.has.document, bit, 'text')
  for (const pattern of spec.sideLinks?.response ?? []) keep(response, pattern, bit, 'link')
  planResult(keep(response, 'result', bit, 'shape'), spec, bit)
}

function planResult(result: Plan, spec: KindSpec, bit: number): void {
  linkable(result, bit)
  planError(result, bit)
  for (const pattern of spec.sideLinks?.result ?? []) keep(result, pattern, bit, 'link')
  const { has } = spec
  if ('document' in has) keep(result, has.document, bit, 'text')
  if ('any' in has)
    for (const [name, shape] of Object.entries(has.any)) keep(result, name, bit, shape === 'text' ? 'text' : 'shape')
  if ('parts' in has)
    for (const [name, part] of Object.entries(has.parts)) planPart(keep(result, name, bit, 'shape'), part, bit)
}

function planPart(at: Plan, part: PartSpec, bit: number): void {
  planResponse(at, KINDS[part.kind], bit)
  if (!part.list) return
  const item = keep(at, '*', bit, 'shape')
  planResponse(part.inItem === undefined ? item : keep(item, part.inItem, bit, 'shape'), KINDS[part.kind], bit)
}

function planUnknown(response: Plan, bit: number): void {
  planEnvelope(response, bit)
  const result = keep(response, 'result', bit, 'shape')
  linkable(result, bit)
  planError(result, bit)
}

/** What a response of any kind has around its result. */
function planEnvelope(response: Plan, bit: number): void {
  linkable(response, bit)
  planError(response, bit)
  keep(response, 'response_type', bit, 'text')
  for (const path of ['usage/num_pages', 'usage/num_fields', 'job_id']) keep(response, path, bit, 'shape')
  cited(keep(response, 'citations', bit, 'shape'), bit)
  cited(keep(response, 'result', bit, 'shape'), bit)
}

function planError(at: Plan, bit: number): void {
  for (const name of ERROR_MEMBERS) cited(keep(at, name, bit, 'shape'), bit)
}

/** `{type: "url", url}` is possible here. */
function linkable(at: Plan, bit: number): void {
  keep(at, '', bit, 'shape')
  keep(at, 'type', bit, 'text')
  keep(at, 'url', bit, 'text')
}

/** The members that distinguish an extracted value with citations from a part of a response. */
function cited(at: Plan, bit: number): void {
  keep(at, 'value', bit, 'shape')
  keep(at, 'citations', bit, 'shape')
}

/** A pattern of a result, adapted to the bare array that may replace it. */
export function bareOf(pattern: Pattern, bare: string | undefined): Pattern | null {
  return bare !== undefined && pattern.startsWith(`${bare}/`) ? pattern.slice(bare.length + 1) : null
}

/** Adds the value at `pattern` below `from` to the plan. */
function keep(from: Plan, pattern: Pattern, bit: number, how: NonNullable<Plan['keep']>): Plan {
  let node = from
  for (const step of pattern === '' ? [] : pattern.split('/')) {
    const next: Plan = (step === '*' ? node.items : node.names.get(step)) ?? emptyPlan()
    if (step === '*') node.items = next
    else node.names.set(step, next)
    node = next
  }
  node.uses |= bit
  // Text serves every use; a shape and a link together need the text.
  if (node.keep === null) node.keep = how
  else if (node.keep !== how) node.keep = 'text'
  return node
}
