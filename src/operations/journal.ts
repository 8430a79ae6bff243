import type { Action, AtRisk, Cause, CountedSpan, Ledger, Refused } from '../inbox/inbox.ts'
import { countsKeptFrom, MAX_CAUSES, spanOf } from '../inbox/journal.ts'
import { purgeAt } from '../purge.ts'
import type { Rows } from './walk.ts'

/** What the inbox keeps beside deliveries and jobs, as it is shown: each answer is bounded, and says how far it searched. */

/** Refusals are counted so far back, ms. */
const REFUSALS_MS = 24 * 3_600_000
/** Actions that one request asks for: each has up to a thousand ids. */
const ACTIONS_A_REQUEST = 20
/** Ids that a page of actions holds, about: a page ends after the action that reaches it. */
const MAX_PAGE_IDS = 5_000

/** Why jobs are dead. `searchedTo`: when the last job of the oldest cause died (ms), where older causes may be left out. */
export async function listCauses({ ledger }: { readonly ledger: Pick<Ledger, 'causes'> }): Promise<{
  readonly causes: readonly Cause[]
  readonly searchedTo: number | null
}> {
  const causes = await ledger.causes()
  return { causes, searchedTo: causes.length < MAX_CAUSES ? null : (causes.at(-1)?.lastAt ?? null) }
}

/** What operators did, the newest first. A page ends early where its actions name very many jobs. */
export async function listActions(
  { ledger }: { readonly ledger: Pick<Ledger, 'actions'> },
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
): Promise<Rows<Action>> {
  const rows: Action[] = []
  let named = 0
  let at = cursor
  for (;;) {
    const part = Math.min(limit - rows.length, ACTIONS_A_REQUEST)
    const page = await ledger.actions({ limit: part, ...(at === undefined ? {} : { cursor: at }) })
    for (const action of page.rows) {
      rows.push(action)
      named += action.ids.length
      if (named >= MAX_PAGE_IDS && action !== page.rows.at(-1))
        return { rows, next: String(action.seq), searchedTo: action.at }
    }
    if (page.next === null || rows.length >= limit || named >= MAX_PAGE_IDS) return { ...page, rows }
    at = page.next
  }
}

/** `searchedTo`: counted from then on alone (ms), where the question began earlier than what is kept or told at once. */
export type CountedSpans = {
  readonly minutes: readonly CountedSpan[]
  /** How long each span is, ms. */
  readonly ms: number
  readonly searchedTo: number | null
}

/** What was counted from `from` until before `to`, ms; see `Journal.minutes`. */
export async function countsBetween(
  { ledger, now }: { readonly ledger: Pick<Ledger, 'minutes'>; readonly now: () => number },
  from: number,
  to: number,
): Promise<CountedSpans> {
  const span = spanOf(from, to, now())
  const kept = Math.max(span.from, countsKeptFrom(now())[span.table])
  return { minutes: await ledger.minutes(from, to), ms: span.ms, searchedTo: kept > from ? kept : null }
}

/** Why requests were refused within a day, the latest first. `since`: from when on it was counted, ms. */
export async function refusedLately({
  ledger,
  now,
}: {
  readonly ledger: Pick<Ledger, 'refusals'>
  readonly now: () => number
}): Promise<{ readonly refusals: readonly Refused[]; readonly since: number }> {
  const since = now() - REFUSALS_MS
  return { refusals: await ledger.refusals(since), since }
}

/** The results that only Reducto has, and which of them it deletes first, about when (ms). */
export type ResultsAtRisk = {
  readonly jobs: number
  readonly next: { readonly jobId: string; readonly purgeAt: number } | null
}

export function describeAtRisk({ jobs, soonest }: AtRisk): ResultsAtRisk {
  const [first] = soonest.toSorted((a, b) => a.receivedAt - b.receivedAt)
  return { jobs, next: first ? { jobId: first.jobId, purgeAt: purgeAt(first.receivedAt) } : null }
}
