import { at, isArray, isCitedValue, isContainer, isObject, type Kept, type KeptContainer } from './kept.ts'
import { KINDS, type Kind, kindOfResponseType } from './kinds.ts'
import type { Level } from './plan.ts'

/**
 * Whether a link led to a whole response rather than to the result alone. For most kinds a member `result` shows it.
 * Extracted values can have members of any name, including `result` and `usage`. For them only members that Reducto
 * alone writes count: `response_type`, or page counts beside a result. Where a whole response was expected, citations
 * or a job id are enough.
 */
export function isEnvelope(root: Kept | undefined, kind: Kind, level: Level): boolean {
  const spec = KINDS[kind]
  if (!isObject(root)) return false
  if ('document' in spec.has) return true
  const result = at(root, 'result')
  if (result === undefined) return false
  if (!('values' in spec.has)) return true
  const responseType = at(root, 'response_type')
  if (typeof responseType === 'string' && kindOfResponseType(responseType) === kind) return true
  const citations = at(root, 'citations')
  const fitsCitations = citations === undefined || citations === null || isArray(citations)
  const fitsResult = result === null || (isContainer(result) && !isCitedValue(result))
  if (!fitsCitations || !fitsResult) return false
  if (isCount(at(root, 'usage', 'num_pages')) || isCount(at(root, 'usage', 'num_fields'))) return true
  return level === 'response' && (citations !== undefined || typeof at(root, 'job_id') === 'string')
}

function isCount(value: Kept | undefined): boolean {
  return typeof value === 'number'
}

/** `isEnvelope` for a value in memory. */
export function isResponse(value: unknown, kind: Kind, level: Level): boolean {
  return isEnvelope(outline(value, 2), kind, level)
}

/** The first levels of a value, as a scan would keep them. */
function outline(value: unknown, levels: number): Kept {
  if (typeof value !== 'object' || value === null) return value as Kept
  const isList = Array.isArray(value)
  const kept: KeptContainer = { isArray: isList, members: new Map(), size: isList ? value.length : 0 }
  // Items of lists are not needed here, and there may be many.
  if (isList || levels === 0) return kept
  for (const name of ENVELOPE_MEMBERS)
    if (Object.hasOwn(value, name))
      kept.members.set(name, outline((value as Record<string, unknown>)[name], levels - 1))
  return kept
}

const ENVELOPE_MEMBERS = ['result', 'usage', 'citations', 'response_type', 'job_id', 'num_pages', 'num_fields', 'value']
