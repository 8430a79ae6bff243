import { type CauseModel, causeRows } from './causes.ts'
import { type ChartModel, chart, timeBar } from './chart.ts'
import { type Html, html, shown } from './html.ts'
import { type Icon, icon, type Tone } from './icons.ts'
import { card, type Layout } from './layout.ts'
import { type Page, type Query, to } from './page.ts'
import { refusalMeaning } from './refusals.ts'
import { agoTime, spanText } from './time.ts'
import { type Situation, type Verdict, verdictOf } from './verdict.ts'

export type OverviewModel = {
  readonly situation: Situation
  readonly flow: FlowModel
  /** Which span the charts show. */
  readonly span: Span
  readonly charts: readonly ChartModel[]
  readonly causes: readonly CauseModel[]
  readonly refusals: readonly { readonly reason: string; readonly count: number; readonly lastAt: number }[]
  readonly atRisk: readonly { readonly jobId: string; readonly state: string; readonly purgeAt: number }[]
  /** How long Reducto keeps a result, ms. */
  readonly keeps: number
  readonly service: ServiceModel
}

export const SPANS = ['1h', '24h', '8d'] as const
export type Span = (typeof SPANS)[number]

type FlowModel = {
  /** Deliveries and done jobs of the last day. */
  readonly received: number
  readonly lastReceivedAt: number | null
  readonly waiting: number
  readonly oldestWaitingAt: number | null
  readonly fetching: number
  readonly handingOver: number
  readonly retryingHandler: number
  readonly places: number
  readonly handlerFailsSince: number | null
  readonly done: number
  readonly failed: number
  readonly dead: number
  readonly causes: number
  readonly hasHandler: boolean
}

type ServiceModel = {
  readonly pause: { readonly since: number; readonly reason: string | null } | null
  readonly worker: string
  /** Whether there is a page of `doctor`. */
  readonly hasDoctor: boolean
  readonly facts: readonly (readonly [name: string, text: string])[]
}

/** Causes that the overview shows; the page of the dead has all. */
const MAX_CAUSES = 5

export function overviewPage(page: Page, model: OverviewModel): Layout {
  const { causes, situation } = model
  const needs =
    causes.length > 0 &&
    card(
      html`Needs a person <span class="badge bad">${situation.jobs.dead}</span>`,
      causeRows(page, causes.slice(0, MAX_CAUSES), false),
      {
        beside: html`<a href="${to(page, ['dead'])}">All causes</a>`,
      },
    )
  const body = html`${verdict(page, verdictOf(situation))}${flow(page, model.flow)}${spans(page, model.span)}<div class="halves">${model.charts.map(chart)}</div><div class="columns"><div class="stack">${needs}${refused(page, model.refusals)}</div><div class="stack">${onlyAtReducto(page, model)}${service(page, model.service)}</div></div>`
  return { title: 'Overview', place: 'overview', live: 5, body }
}

function verdict(page: Page, { icon: shape, tone, bold, rest, why, cure }: Verdict): Html {
  return html`<section class="card verdict is-${tone}" aria-label="How it stands">${icon(shape, tone, 18)}<div><h2><b>${shown(bold)}</b> ${shown(rest)}</h2><p>${shown(why, 800)}</p></div><div class="actions">${button()}</div></section>`

  function button(): Html | null {
    if (cure === null) return null
    if (cure.is === 'link')
      return html`<a class="button main" href="${to(page, cure.path, cure.query)}">${cure.text}</a>`
    return page.role === 'write'
      ? html`<form method="post" action="${to(page, ['worker', 'resume'])}"><button class="main">${cure.text}</button></form>`
      : null
  }
}

type Cell = {
  readonly name: string
  readonly shape: readonly [Icon, Tone] | null
  readonly figure: number
  readonly unit: string
  readonly fact: string
  readonly path: readonly string[]
  readonly query?: Query
}

function flow(page: Page, model: FlowModel): Html {
  const { now } = page
  const cells: readonly Cell[] = [
    {
      name: 'Received',
      shape: null,
      figure: model.received,
      unit: '24 h',
      fact:
        model.lastReceivedAt === null ? 'none so far' : `last ${spanText(Math.max(now - model.lastReceivedAt, 0))} ago`,
      path: ['deliveries'],
    },
    {
      name: 'Waiting',
      shape: ['waiting', 'wait'],
      figure: model.waiting,
      unit: '',
      fact:
        model.oldestWaitingAt === null
          ? 'nothing waits'
          : `the oldest for ${spanText(Math.max(now - model.oldestWaitingAt, 0))}`,
      path: ['jobs'],
      query: { state: 'queued' },
    },
    {
      name: 'Fetching',
      shape: ['running', 'accent'],
      figure: model.fetching,
      unit: `of ${model.places}`,
      fact: model.fetching === 0 ? 'all places free' : 'places at work',
      path: ['jobs'],
      query: { state: 'running', stage: 'fetch' },
    },
    handingOver(model, now),
    {
      name: 'Done',
      shape: ['done', 'ok'],
      figure: model.done,
      unit: '24 h',
      fact: `${model.failed} failed at Reducto`,
      path: ['jobs'],
      query: { state: 'done' },
    },
    {
      name: 'Dead',
      shape: ['dead', 'bad'],
      figure: model.dead,
      unit: '',
      fact: model.dead === 0 ? 'nothing needs a person' : `${model.causes} ${model.causes === 1 ? 'cause' : 'causes'}`,
      path: ['dead'],
    },
  ]
  return html`<nav class="card flow" aria-label="The way of a job">${cells.map((cell, index) => flowCell(page, cell, index === cells.length - 1))}</nav>`
}

function handingOver(model: FlowModel, now: number): Cell {
  const { handingOver: busy, retryingHandler: retrying, handlerFailsSince, hasHandler } = model
  const fails =
    handlerFailsSince === null ? null : `handler fails since ${spanText(Math.max(now - handlerFailsSince, 0))}`
  return {
    name: 'Handing over',
    shape: retrying > 0 ? ['retrying', 'warn'] : ['running', 'accent'],
    figure: retrying > 0 ? retrying : busy,
    unit: retrying > 0 ? 'saved, waiting' : `of ${model.places}`,
    fact: fails ?? (hasHandler ? (retrying > 0 ? 'for your handler' : 'your handler keeps up') : 'no handler is set'),
    path: ['jobs'],
    query: { stage: 'hand_over', state: retrying > 0 ? 'queued' : 'running' },
  }
}

function flowCell(page: Page, { name, shape, figure, unit, fact, path, query }: Cell, isLast: boolean): Html {
  return html`<a href="${to(page, path, query)}"${isLast && html` class="apart"`}><span class="state">${shape && icon(...shape)}<span>${name}</span></span><span class="figure${isLast && figure > 0 ? ' bad' : ''}"><b>${grouped(figure)}</b> ${unit}</span><span>${fact}</span></a>`
}

/** `18 287`, with a narrow space that does not break. */
function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, '\u202f')
}

function spans(page: Page, given: Span): Html {
  return html`<nav class="spans" aria-label="Time of the charts">${SPANS.map((span) => html`<a href="${to(page, [], { span })}"${span === given && html` aria-current="true"`}>${span}</a>`)}</nav>`
}

function refused(page: Page, refusals: OverviewModel['refusals']): Html {
  const rows = refusals.map(({ reason, count, lastAt }) => {
    const { status, text } = refusalMeaning(reason)
    return html`<tr><td class="mono tight">${status} ${shown(reason, 60)}</td><td class="number">${count}</td><td class="tight">${agoTime(lastAt, page)} ago</td><td class="muted wide">${text}${reason === 'invalid_payload' && html` <a href="${to(page, ['deliveries'], { disposition: 'rejected' })}">See the bodies</a>`}</td></tr>`
  })
  const body =
    rows.length === 0
      ? html`<p class="empty inside">None: every request was what it should be.</p>`
      : html`<table class="table"><thead><tr><th>Reason</th><th class="number tight">Count</th><th class="tight">Last</th><th class="wide">What it means</th></tr></thead><tbody>${rows}</tbody></table>`
  return card('Refused requests', body, { beside: 'last 24 h', id: 'refused' })
}

function onlyAtReducto(page: Page, { atRisk, keeps, situation }: OverviewModel): Html {
  const more = situation.atRisk.jobs - atRisk.length
  const rows = atRisk.map(({ jobId, state, purgeAt }) => {
    const left = Math.max(purgeAt - page.now, 0)
    const text = left === 0 ? 'probably deleted' : `${spanText(left)} left`
    return html`<li><a class="id" href="${to(page, ['jobs', jobId])}">${jobId.slice(0, 8)}</a> <span class="muted">· ${state} · ${text}</span>${timeBar(left / keeps, `${text} of ${spanText(keeps)}`)}</li>`
  })
  const body =
    rows.length === 0
      ? html`<p class="empty">Nothing: every result that was announced is saved.</p>`
      : html`<ul class="inside left-list">${rows}</ul>${more > 0 && html`<p class="empty">and ${more} more</p>`}`
  return card('Still only at Reducto', body, { beside: `deleted after about ${spanText(keeps)}` })
}

function service(page: Page, { pause, worker, hasDoctor, facts }: ServiceModel): Html {
  const button =
    pause === null
      ? html`<form method="post" action="${to(page, ['worker', 'pause'])}" class="actions"><input type="text" name="reason" maxlength="200" placeholder="Why (optional)" aria-label="Why it is paused"><button>Pause</button></form>`
      : html`<form method="post" action="${to(page, ['worker', 'resume'])}"><button class="main">Resume</button></form>`
  const all = [['Worker', worker] as const, ...facts]
  return card(
    'This service',
    html`<dl class="facts">${all.map(([name, text]) => html`<dt>${name}</dt><dd>${shown(text, 300)}</dd>`)}</dl>${page.role === 'write' && html`<div class="inside">${button}</div>`}`,
    hasDoctor ? { beside: html`<a href="${to(page, ['doctor'])}">Doctor</a>` } : {},
  )
}
