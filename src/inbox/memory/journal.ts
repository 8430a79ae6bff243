import { causeOf } from '../../job-cause.ts'
import { purgedBefore } from '../../purge.ts'
import {
  ACTIONS_KEPT,
  type ActionPage,
  type AtRisk,
  type Cause,
  countsKeptFrom,
  hourOf,
  MAX_ACTION_IDS,
  MAX_CAUSES,
  MAX_SOONEST,
  type MinuteCounts,
  type NewAction,
  type Page,
  REFUSED,
  type Refused,
  refusalsFrom,
  spanOf,
  spansOf,
} from '../journal.ts'
import { firstDeliveryOf, type JobEntry, type Memory } from './memory.ts'
import { pageOf } from './page.ts'

/** Why jobs died, who did what, and what was counted. */
export function createJournal(memory: Memory) {
  function causes(now: number): readonly Cause[] {
    const dead = [...memory.jobs.values()].filter(({ job }) => job.progress.state === 'dead')
    const groups = [...Map.groupBy(dead, (entry) => causeOfEntry(entry) ?? '')].filter(([cause]) => cause !== '')
    const found = groups.map(([cause, entries]) => causeFrom(cause, entries, now))
    return found.sort((a, b) => b.lastAt - a.lastAt).slice(0, MAX_CAUSES)
  }

  function causeFrom(cause: string, entries: readonly JobEntry[], now: number): Cause {
    const jobs = entries.map(({ job }) => job)
    const died = jobs.map(({ updatedAt }) => updatedAt)
    const isThere = ({ job: { progress, createdAt } }: JobEntry) =>
      progress.stage === 'fetch' && createdAt >= purgedBefore(now)
    const waiting = entries.filter(isThere).map(({ job }) => job.createdAt)
    return {
      cause,
      code: jobs.at(-1)!.progress.reason?.code ?? '',
      jobs: jobs.length,
      types: distinct(jobs.flatMap(({ type }) => type ?? [])),
      endpoints: distinct(jobs.map(({ endpoint }) => endpoint)),
      firstAt: Math.min(...died),
      lastAt: Math.max(...died),
      sample: jobs.at(-1)!.jobId,
      soonestCreatedAt: waiting.length > 0 ? Math.min(...waiting) : null,
    }
  }

  function atRisk(now: number): AtRisk {
    const found = [...memory.jobs.values()].filter(({ job: { progress, createdAt } }) => {
      if (progress.stage !== 'fetch') return false
      if (progress.state === 'dead') return createdAt >= purgedBefore(now)
      return progress.state === 'queued' || progress.state === 'running'
    })
    const soonest = found.slice(0, MAX_SOONEST).map((entry) => {
      const { jobId, createdAt } = entry.job
      return { jobId, createdAt, receivedAt: firstDeliveryOf(entry)?.receivedAt ?? createdAt }
    })
    return { jobs: found.length, soonest }
  }

  function note(action: NewAction, now: number): number {
    const seq = ++memory.lastAction
    memory.actions = [...memory.actions, { ...action, ids: action.ids.slice(0, MAX_ACTION_IDS), seq, at: now }]
    return seq
  }

  /** Notes with a job that it was part of an action. */
  function link(entry: JobEntry, action: number | undefined): void {
    const noted = memory.actions.find(({ seq }) => seq === action)
    if (!noted) return
    const { at, who, role, what } = noted
    entry.actions = [...entry.actions, { at, who, role, what, round: entry.job.round }].slice(-ACTIONS_KEPT)
  }

  function actions(page: Page): ActionPage {
    const { rows, next, last } = pageOf(memory.actions.toReversed(), page, ({ seq }) => seq)
    return { rows, next, searchedTo: last?.at ?? null }
  }

  function count(minutes: readonly MinuteCounts[]): void {
    for (const { at, counts } of minutes)
      for (const [table, begin] of [
        [memory.counts.minute, at],
        [memory.counts.hour, hourOf(at)],
      ] as const) {
        const counted = table.get(begin) ?? new Map<string, number>()
        for (const [name, by] of Object.entries(counts)) counted.set(name, (counted.get(name) ?? 0) + by)
        table.set(begin, counted)
      }
  }

  /** The rows of a store's table, in order. */
  function rowsOf(table: 'minute' | 'hour', from: number, to: number) {
    const times = [...memory.counts[table]].filter(([at]) => at >= from && at < to).sort(([a], [b]) => a - b)
    return times.flatMap(([at, counts]) => [...counts].map(([name, n]) => ({ at, name, n })))
  }

  function minutes(from: number, to: number, now: number) {
    const span = spanOf(from, to, now)
    return spansOf(rowsOf(span.table, span.from, span.to), span.ms)
  }

  function refusals(since: number, now: number): readonly Refused[] {
    const rows = rowsOf('minute', refusalsFrom(since, now), Number.POSITIVE_INFINITY)
    const refused = Map.groupBy(
      rows.filter(({ name }) => name.startsWith(REFUSED)),
      ({ name }) => name.slice(REFUSED.length),
    )
    const found = [...refused].map(([reason, counted]) => ({
      reason,
      count: counted.reduce((sum, { n }) => sum + n, 0),
      lastAt: Math.max(...counted.map(({ at }) => at)),
    }))
    return found.sort((a, b) => b.lastAt - a.lastAt || (a.reason < b.reason ? -1 : 1))
  }

  /** Forgets what was noted before this time, and counts that are past their own time. Returns how many actions went. */
  function pruneNotes(before: number, now: number): number {
    const kept = memory.actions.filter(({ at }) => at >= before)
    const gone = memory.actions.length - kept.length
    memory.actions = kept
    for (const table of ['minute', 'hour'] as const)
      for (const at of memory.counts[table].keys()) if (at < countsKeptFrom(now)[table]) memory.counts[table].delete(at)
    return gone
  }

  return { causes, atRisk, note, link, actions, count, minutes, refusals, pruneNotes }
}

/** Why a job is dead; null when it is not. */
export function causeOfEntry({ job: { progress } }: JobEntry): string | null {
  return progress.state === 'dead' && progress.reason !== null ? causeOf(progress.reason) : null
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort()
}
