import type { Ledger, Stats } from '../../inbox/inbox.ts'
import type { CauseModel } from '../../operator/causes.ts'
import { chartsOf } from '../../operator/charts.ts'
import { type OverviewModel, overviewPage, SPANS, type Span } from '../../operator/overview.ts'
import { causeText, standingOf } from '../../operator/state.ts'
import { spanText } from '../../operator/time.ts'
import type { Situation } from '../../operator/verdict.ts'
import { sendPage } from './context.ts'
import { givenIn, one, QueryRefused } from './filter.ts'
import { causesOf, journalOf, purgeAt, REDUCTO_KEEPS_MS } from './journal.ts'
import type { Handle, Visit } from './visit.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** How long each span of the charts is, ms. */
const SPAN_MS: Readonly<Record<Span, number>> = { '1h': HOUR_MS, '24h': DAY_MS, '8d': 8 * DAY_MS }

export const overviewRoute: Handle = async (visit) => {
  const { request, response, page } = visit
  const wanted = one(givenIn(request), 'span') ?? '1h'
  const span = SPANS.find((known) => known === wanted)
  if (span === undefined) throw new QueryRefused(`there is no span ${wanted}`)
  sendPage(response, page, overviewPage(page, await modelOf(visit, span)))
}

async function modelOf(visit: Visit, span: Span): Promise<OverviewModel> {
  const { opened, deps, page } = visit
  const { ledger, busy } = opened
  const journal = journalOf(ledger)
  const { now } = page
  const [stats, service, causes, atRisk, minutes, day, refusals, facts, oldest] = await Promise.all([
    ledger.stats(),
    ledger.service(),
    causesOf(ledger),
    journal.atRisk(),
    journal.minutes(now - SPAN_MS[span], now),
    journal.minutes(now - DAY_MS, now),
    journal.refusals(now - DAY_MS),
    deps.service.facts(),
    ledger.oldest({ state: 'queued' }),
  ])
  const { notReady, degraded } = deps.health()
  const sum = (name: string) => day.reduce((all, { counts }) => all + (counts[name] ?? 0), 0)
  const waitingHandler = queuedAt(stats, 'hand_over')
  const situation: Situation = {
    now,
    notReady,
    degraded,
    pause: service.pause,
    jobs: stats.jobs,
    causes: toldCauses(causes),
    atRisk: { jobs: atRisk.jobs, purgeAt: soonestPurge(atRisk) },
    lastDeliveryAt: stats.lastVerifiedAt,
  }
  return {
    situation,
    flow: {
      received: sum('accepted') + sum('ignored'),
      lastReceivedAt: stats.lastVerifiedAt,
      waiting: queuedAt(stats, 'fetch'),
      oldestWaitingAt: oldest?.createdAt ?? null,
      fetching: busy.fetch,
      handingOver: busy.hand_over,
      retryingHandler: waitingHandler,
      places: deps.service.places,
      handlerFailsSince: degraded.find(({ name }) => name === 'handler')?.since ?? null,
      done: sum('done') + sum('failed'),
      failed: sum('failed'),
      dead: stats.jobs.dead,
      causes: causes.length,
      hasHandler: deps.service.hasHandler,
    },
    span,
    charts: chartsOf({ minutes, from: now - SPAN_MS[span], to: now, zone: page.zone }),
    causes,
    refusals,
    atRisk: await namedAtRisk(ledger, atRisk),
    keeps: REDUCTO_KEEPS_MS,
    service: {
      pause: service.pause,
      worker: workerText(deps.service.places, service.pause, now),
      facts: [
        ...facts,
        ...(service.startedAt === null ? [] : [['Up', spanText(Math.max(now - service.startedAt, 0))] as const]),
      ],
    },
  }
}

function queuedAt(stats: Stats, stage: 'fetch' | 'hand_over'): number {
  const { queued } = stats as { readonly queued?: Readonly<Record<'fetch' | 'hand_over', number>> }
  return queued ? queued[stage] : stage === 'fetch' ? stats.jobs.queued : 0
}

function toldCauses(causes: readonly CauseModel[]): Situation['causes'] {
  return causes
    .map(({ code, jobs, purgeAt: purge }) => ({ text: causeText(code), jobs, isSaved: purge === null }))
    .toSorted((a, b) => b.jobs - a.jobs)
}

type AtRisk = Awaited<ReturnType<ReturnType<typeof journalOf>['atRisk']>>

function soonestPurge({ soonest }: AtRisk): number | null {
  const [first] = soonest
  return first ? purgeAt(first.receivedAt) : null
}

/** Bars that the overview shows. */
const MAX_BARS = 5

async function namedAtRisk(ledger: Ledger, { soonest }: AtRisk): Promise<OverviewModel['atRisk']> {
  const shown = soonest.slice(0, MAX_BARS)
  if (shown.length === 0) return []
  const { rows } = await ledger.list({ jobIds: shown.map(({ jobId }) => jobId) }, { limit: shown.length })
  const states = new Map(rows.map((row) => [row.jobId, standingOf(row).word.toLowerCase()]))
  return shown.map(({ jobId, receivedAt }) => ({
    jobId,
    state: states.get(jobId) ?? 'queued',
    purgeAt: purgeAt(receivedAt),
  }))
}

function workerText(places: number, pause: { readonly since: number } | null, now: number): string {
  if (pause !== null) return `paused for ${spanText(Math.max(now - pause.since, 0))}`
  return places === 0 ? 'off: this replica only receives' : `running, ${places} + ${places} places`
}
