import type { JobRow } from '../inbox/inbox.ts'
import { stringifyLossless } from '../lossless-json.ts'

/** `done · Failed`: how the job ended is Reducto's word, that it is done is ours. */
export function stateOf({ state, status, stage }: Pick<JobRow, 'state' | 'status' | 'stage'>): string {
  if (state === 'done') return status === 'Failed' ? 'done · Failed' : 'done'
  return stage === 'hand_over' ? `${state}, saved` : state
}

/** Metadata as `key=value` pairs, a text as it is and anything else as its JSON; empty when there is none. */
export function metadataPairs(metadata: unknown): string {
  if (metadata === null || metadata === undefined) return ''
  if (typeof metadata !== 'object' || Array.isArray(metadata)) return valueText(metadata)
  return Object.entries(metadata)
    .map(([key, value]) => `${key}=${valueText(value)}`)
    .join('  ')
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : stringifyLossless(value)
}

/** Members whose contents are others' and stay as they are. */
const FOREIGN: ReadonlySet<string> = new Set(['metadata', 'record', 'sent', 'details'])

/** Plain data as records have it: names with underscores, times (`…At`, `since`, `until`) in ISO 8601. */
export function toJson(value: unknown): unknown {
  return converted('', value)
}

function converted(name: string, value: unknown): unknown {
  if (typeof value === 'number' && isTime(name)) return new Date(value).toISOString()
  if (FOREIGN.has(name)) return value
  if (Array.isArray(value)) return value.map((item) => converted('', item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      converted(key, item),
    ]),
  )
}

function isTime(name: string): boolean {
  return name.endsWith('At') || ['at', 'since', 'until', 'searchedTo'].includes(name)
}
