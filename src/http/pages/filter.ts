import type { Request } from 'express'
import type { JobFilter } from '../../inbox/inbox.ts'
import type { JobState, Stage } from '../../job.ts'
import type { Query } from '../../operator/page.ts'
import { parseDuration } from '../../units.ts'

/** A query that means nothing: it is told, and never taken for a wider one. */
export class QueryRefused extends Error {
  override readonly name = 'QueryRefused'
}

/** What an address, or a form, gives: each name with its values. */
export type Given = URLSearchParams

export function givenIn(request: Request): Given {
  const at = request.url.indexOf('?')
  return new URLSearchParams(at === -1 ? '' : request.url.slice(at + 1))
}

const STATES: ReadonlySet<string> = new Set<JobState>(['expected', 'queued', 'running', 'done', 'dead'])
const STAGES: ReadonlySet<string> = new Set<Stage>(['fetch', 'hand_over'])
/** Longer ones match nothing. Characters. */
const MAX_VALUE = 500
const TEXTS = ['status', 'type', 'endpoint', 'code', 'cause', 'error', 'q'] as const
const NAMES = [...TEXTS, 'state', 'stage', 'since', 'until'] as const
/** How the name of a member of the metadata begins: `metadata.KEY=VALUE`. */
const MEMBER = 'metadata.'
/** What else the address of a list has, and a form. */
export const OF_LIST = ['cursor', 'did', 'n', 'refused'] as const
export const OF_FORM = ['do', 'id', 'expect'] as const

/**
 * The filter of jobs that is given, in the words of the API and the command line; and the same as a link keeps it. `others`: what
 * else may be given there. Anything more is refused, since a filter that is not understood would match all.
 */
export function jobFilterOf(
  given: Given,
  now: number,
  others: readonly string[],
): { readonly filter: JobFilter; readonly query: Query } {
  const known: ReadonlySet<string> = new Set([...NAMES, ...others])
  const text = (name: string) => one(given, name)
  const [state, stage, since, until] = [text('state'), text('stage'), text('since'), text('until')]
  const members = [...given.keys()].filter((name) => name.startsWith(MEMBER))
  const unknown = [...given.keys()].find((name) => !known.has(name) && !members.includes(name))
  if (unknown !== undefined) throw new QueryRefused(`there is no filter ${unknown.slice(0, 64)}`)
  const metadata = members.map((name): [string, string] => [name.slice(MEMBER.length), one(given, name) ?? ''])
  if (state !== undefined && !STATES.has(state)) throw new QueryRefused(`there is no state ${state}`)
  if (stage !== undefined && !STAGES.has(stage)) throw new QueryRefused(`there is no stage ${stage}`)
  const filter = {
    ...Object.fromEntries(TEXTS.flatMap((name) => (text(name) === undefined ? [] : [[name, text(name)]]))),
    ...(state === undefined ? {} : { state: state as JobState }),
    ...(stage === undefined ? {} : { stage: stage as Stage }),
    ...(since === undefined ? {} : { since: timeOf('since', since, now) }),
    ...(until === undefined ? {} : { until: timeOf('until', until, now) }),
    ...(metadata.length === 0 ? {} : { metadata: Object.fromEntries(metadata) }),
  }
  const query = Object.fromEntries([...NAMES, ...members].map((name) => [name, text(name)]))
  return { filter, query }
}

/** The value of a name that may be given once; undefined without one, or with an empty one, as forms send. */
export function one(given: Given, name: string): string | undefined {
  const values = given.getAll(name)
  if (values.length > 1) throw new QueryRefused(`${name} is given ${values.length} times`)
  const value = values[0]?.trim()
  if (value !== undefined && value.length > MAX_VALUE) throw new QueryRefused(`${name} is too long`)
  return value === '' ? undefined : value
}

/** A duration back from now, a time, or a number of ms since 1970. */
export function timeOf(name: string, text: string, now: number): number {
  if (/^\d{10,15}$/.test(text)) return Number(text)
  const time = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time)) return time
  try {
    return now - parseDuration(text)
  } catch {
    throw new QueryRefused(`${name} takes a duration such as 2h or 3d, or a time such as 2026-11-24T12:00Z`)
  }
}

/** What a page ended with; undefined for the first one. */
export function cursorOf(given: Given): string | undefined {
  const cursor = one(given, 'cursor')
  if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) throw new QueryRefused('cursor takes what a list ended with')
  return cursor
}
