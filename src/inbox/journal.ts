import type { ActionName, Actor } from '../actor.ts'

/**
 * What the inbox keeps for operators beside deliveries and jobs: why jobs died, who did what, and what happened in each
 * minute. The part of the port `Ledger` that no job depends on; the same promises hold.
 */
export interface Journal {
  /** Why jobs are dead: jobs with equal causes together, the newest death first, at most `MAX_CAUSES`. */
  causes(): Promise<readonly Cause[]>
  /** The jobs whose result only Reducto has: what is not fetched in time is lost. */
  atRisk(): Promise<AtRisk>
  /** Notes what an operator does, before it is done. Returns its number, for what is done with each job. */
  note(action: NewAction): Promise<number>
  /** What operators did, the newest first; pages are as those of `list`. */
  actions(page: Page): Promise<ActionPage>
  /** Adds to the counts of these minutes. Two processes may count the same one. */
  count(minutes: readonly MinuteCounts[]): Promise<void>
  /**
   * What was counted from `from` until before `to` (ms), the earliest first, without what had nothing: by the minute for a
   * day at most, of the last eight; else by the hour, for ninety days at most.
   */
  minutes(from: number, to: number): Promise<readonly CountedSpan[]>
  /** Why requests were refused since this time (ms; a day ago at most), the latest first. */
  refusals(since: number): Promise<readonly Refused[]>
}

export type Page = { readonly limit: number; readonly cursor?: string }

/** `searchedTo`: the oldest that was looked at was created, or received, then (ms); null when all were. */
export type PageOf<Row> = {
  readonly rows: readonly Row[]
  readonly next: string | null
  readonly searchedTo: number | null
}

/** Causes that are told apart; the oldest are left out. */
export const MAX_CAUSES = 200

/** Dead jobs with one cause (see job-cause.ts). */
export type Cause = {
  readonly cause: string
  readonly code: string
  readonly jobs: number
  /** The kinds of these jobs and their endpoints, in order; of very many jobs those of the newest. */
  readonly types: readonly string[]
  readonly endpoints: readonly string[]
  /** When the first and the last of them died, ms. */
  readonly firstAt: number
  readonly lastAt: number
  /** The newest job, as an example. */
  readonly sample: string
  /** When the one was first heard of whose result Reducto deletes next, ms; null when Reducto has none any more. */
  readonly soonestCreatedAt: number | null
}

/**
 * `jobs`: how many are to be fetched, now or as soon as a person queues them again. Dead ones count while Reducto may still
 * have their result. `soonest`: the ten that were announced first; `receivedAt`: when the first delivery came (ms), from
 * which purge.ts reckons.
 */
export type AtRisk = {
  readonly jobs: number
  readonly soonest: readonly { readonly jobId: string; readonly createdAt: number; readonly receivedAt: number }[]
}

/** Jobs that `AtRisk` names. */
export const MAX_SOONEST = 10
/** Ids that an action keeps. */
export const MAX_ACTION_IDS = 1_000
/** Actions that a job's detail shows, the latest ones. */
export const ACTIONS_KEPT = 50

/** What somebody does. */
export type NewAction = Actor & {
  readonly what: ActionName
  /** Which jobs or deliveries, where that was said by a filter; for a pause its reason. */
  readonly filter: Readonly<Record<string, unknown>> | null
  /** How many jobs or deliveries it is for. */
  readonly count: number
  /** Which, the first `MAX_ACTION_IDS` of them. */
  readonly ids: readonly string[]
}

export type Action = NewAction & { readonly seq: number; readonly at: number }

export type ActionPage = PageOf<Action>

/** What somebody did with one job. `round`: the one that it began, or was in. */
export type JobAction = Pick<Action, 'at' | 'who' | 'role' | 'what'> & { readonly round: number }

/** Counts by name: `accepted`, `duplicate`, `ignored`, `done`, `failed`, `dead`, `refused:<reason>`. */
type Counts = Readonly<Record<string, number>>

/** `at`: when the minute began, ms. */
export type MinuteCounts = { readonly at: number; readonly counts: Counts }

/** `ms`: how long the span is, a minute or an hour. */
export type CountedSpan = MinuteCounts & { readonly ms: number }

/** `lastAt`: the minute in which it was seen last, ms. */
export type Refused = { readonly reason: string; readonly count: number; readonly lastAt: number }

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** A question may be for so long by the minute, and by the hour, ms. */
const MAX_BY_MINUTE_MS = DAY_MS
const MAX_BY_HOUR_MS = 90 * DAY_MS
/** How long minutes and hours are kept, ms. */
const MINUTES_KEPT_MS = 8 * DAY_MS
const HOURS_KEPT_MS = 90 * DAY_MS

/** What `count` begins the name of a refusal with. */
export const REFUSED = 'refused:'

/** Begin of the minute, and of the hour, of this time. */
const minuteOf = (at: number) => at - (at % MINUTE_MS)
export const hourOf = (at: number) => at - (at % HOUR_MS)

/** Minutes and hours that began before these times are forgotten. */
export function countsKeptFrom(now: number): { readonly minute: number; readonly hour: number } {
  return { minute: now - MINUTES_KEPT_MS, hour: now - HOURS_KEPT_MS }
}

/** How `minutes` answers: from what it reads, and from when on. */
export function spanOf(from: number, to: number, now: number) {
  const isByMinute = to - from <= MAX_BY_MINUTE_MS && from >= countsKeptFrom(now).minute
  if (isByMinute) return { table: 'minute', ms: MINUTE_MS, from: minuteOf(from), to } as const
  return { table: 'hour', ms: HOUR_MS, from: hourOf(Math.max(from, to - MAX_BY_HOUR_MS)), to } as const
}

/** Since when `refusals` looks: a day at most, so that it stays a short look. */
export function refusalsFrom(since: number, now: number): number {
  return minuteOf(Math.max(since, now - DAY_MS))
}

/** Rows of counts, put together by their time, which they are in the order of. */
export function spansOf(rows: readonly { at: number; name: string; n: number }[], ms: number): CountedSpan[] {
  const byTime = Map.groupBy(rows, ({ at }) => at)
  return [...byTime].map(([at, counted]) => ({
    at,
    ms,
    counts: Object.fromEntries(counted.map(({ name, n }) => [name, n])),
  }))
}
