import type { AtRisk, Ledger } from '../../inbox/inbox.ts'
import type { CauseModel } from '../../operator/causes.ts'
import { chartsOf } from '../../operator/charts.ts'
import { shown } from '../../operator/html.ts'
import { type OverviewModel, overviewPage, SPANS, type Span } from '../../operator/overview.ts'
import { causeText, standingOf } from '../../operator/state.ts'
import { spanText } from '../../operator/time.ts'
import type { Situation } from '../../operator/verdict.ts'
import { purgeAt, REDUCTO_KEEPS_MS } from '../../purge.ts'
import { sendPage } from './context.ts'
import { givenIn, one, QueryRefused } from './filter.ts'
import { causesOf } from './journal.ts'
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
  const { now } = page
  const [stats, service, causes, known, minutes, day, refusals, facts, oldest] = await Promise.all([
    ledger.stats(),
    ledger.service(),
    causesOf(ledger),
    deps.atRisk(),
    ledger.minutes(now - SPAN_MS[span], now),
    ledger.minutes(now - DAY_MS, now),
    ledger.refusals(now - DAY_MS),
    deps.service.facts(),
    ledger.oldest({ state: 'queued' }),
  ])
  const { notReady, degraded } = deps.health()
  const atRisk: AtRisk = known ?? { jobs: 0, soonest: [] }
  const sum = (name: string) => day.reduce((all, { counts }) => all + (counts[name] ?? 0), 0)
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
      waiting: stats.queued.fetch,
      oldestWaitingAt: oldest?.createdAt ?? null,
      fetching: busy.fetch,
      handingOver: busy.hand_over,
      retryingHandler: stats.queued.hand_over,
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
      hasDoctor: deps.doctor !== null,
      worker: workerText(deps.service.places, service.pause, now),
      facts: [
        ...facts,
        ...(service.startedAt === null ? [] : [['Up', spanText(Math.max(now - service.startedAt, 0))] as const]),
      ],
    },
  }
}

function toldCauses(causes: readonly CauseModel[]): Situation['causes'] {
  return causes
    .map(({ code, message, jobs, purgeAt: purge }) => ({
      text: `${causeText(code)} (${shown(message, 80)})`,
      jobs,
      isSaved: purge === null,
    }))
    .toSorted((a, b) => b.jobs - a.jobs)
}

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
  // What is known is up to a minute old: some of it may be saved by now.
  const states = new Map(
    rows
      .filter(({ state, stage }) => state !== 'done' && stage === 'fetch')
      .map((row) => [row.jobId, standingOf(row).word.toLowerCase()]),
  )
  return shown.flatMap(({ jobId, receivedAt }) => {
    const state = states.get(jobId)
    return state === undefined ? [] : [{ jobId, state, purgeAt: purgeAt(receivedAt) }]
  })
}

function workerText(places: number, pause: { readonly since: number } | null, now: number): string {
  if (pause !== null) return `paused for ${spanText(Math.max(now - pause.since, 0))}`
  return places === 0 ? 'off: this replica only receives' : `running, ${places} + ${places} places`
}
