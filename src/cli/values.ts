import { type JobFilter, MAX_SEARCH_LENGTH } from '../inbox/inbox.ts'
import { isJobId, type JobState, type Stage } from '../job.ts'
import { parseLossless } from '../lossless-json.ts'
import { timeFrom } from '../operations/times.ts'
import { parseDuration } from '../units.ts'
import { WrongUse } from './command.ts'

/** How options' values are read. Each throws WrongUse with what is accepted. */

/** A duration back from now, or a time: ms. */
export function timeOf(name: string, text: string, now = Date.now()): number {
  const time = timeFrom(text, now)
  if (time !== null) return time
  throw new WrongUse(`--${name} takes a duration such as 2h or 3d, or a time such as 2026-11-24T12:00Z`)
}

export function durationOf(name: string, text: string): number {
  try {
    return parseDuration(text)
  } catch {
    throw new WrongUse(`--${name} takes a duration such as 30s, 10m or 2h`)
  }
}

export function numberOf(name: string, text: string, min: number, max: number): number {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= min && number <= max))
    throw new WrongUse(`--${name} takes a number${max < 1e15 ? ` from ${min} to ${max}` : ''}`)
  return number
}

export function pageOf(values: { readonly limit: string; readonly cursor: string | undefined }) {
  if (values.cursor !== undefined && !/^\d{1,15}$/.test(values.cursor))
    throw new WrongUse('--cursor takes what a list ended with')
  return { limit: numberOf('limit', values.limit, 1, 1_000), cursor: values.cursor }
}

/** Job ids, or the starts of them, each once. */
export function jobIdsOf(args: readonly string[]): readonly string[] {
  const wrong = args.find((id) => !isJobId(id))
  if (wrong !== undefined)
    throw new WrongUse(`${wrong} is no job id: those have 1 to 128 characters of A-Z a-z 0-9 _ -`)
  return [...new Set(args)]
}

/** JSON of the user's, with the digits of its numbers; undefined when not given. */
export function jsonOf(name: string, text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return parseLossless(text)
  } catch {
    throw new WrongUse(`--${name} takes JSON, such as --${name} '{"user_id":"123"}'`)
  }
}

type FilterValues = {
  readonly [K in 'state' | 'stage' | 'status' | 'type' | 'endpoint' | 'code' | 'cause' | 'error' | 'since' | 'q']:
    | string
    | undefined
} & { readonly metadata: readonly string[] }

/** Which jobs; empty when no option says so. */
export function filterOf(values: FilterValues): JobFilter {
  const { state, stage, since, metadata, q } = values
  if (q !== undefined && (q.trim() === '' || q.trim().length > MAX_SEARCH_LENGTH))
    throw new WrongUse(`--q takes the start of an id, or words: up to ${MAX_SEARCH_LENGTH} characters`)
  const texts = (['status', 'type', 'endpoint', 'code', 'cause', 'error', 'q'] as const).flatMap((name) =>
    values[name] === undefined ? [] : [[name, values[name]]],
  )
  return {
    ...Object.fromEntries(texts),
    // The spec has the choices.
    ...(state === undefined ? {} : { state: state as JobState }),
    ...(stage === undefined ? {} : { stage: stage as Stage }),
    ...(since === undefined ? {} : { since: timeOf('since', since) }),
    ...(metadata.length === 0 ? {} : { metadata: membersOf(metadata) }),
  }
}

function membersOf(given: readonly string[]): Readonly<Record<string, string>> {
  const members = given.map((text) => {
    const at = text.indexOf('=')
    if (at < 1) throw new WrongUse('--metadata takes KEY=VALUE, such as --metadata user_id=123')
    return [text.slice(0, at), text.slice(at + 1)] as const
  })
  if (new Set(members.map(([key]) => key)).size < members.length)
    throw new WrongUse('--metadata names each key once: all that are given must match')
  return Object.fromEntries(members)
}
