import type { DeliveryDetail } from '../inbox/inbox.ts'
import type { NotedDelivery } from '../operations/deliveries.ts'
import { commandText, copyable } from './command.ts'
import { type Html, html, shown, visible } from './html.ts'
import { reveal } from './job.ts'
import { card, type Layout } from './layout.ts'
import { type Page, type Query, to } from './page.ts'
import { tree } from './preview/tree.ts'
import { agoTime, clockText, clockTime } from './time.ts'

export type DeliveriesModel = {
  readonly query: Query
  readonly rows: readonly NotedDelivery[]
  readonly next: string | null
  readonly searchedTo: number | null
  readonly isFirst: boolean
  readonly counts: Readonly<Record<'job' | 'ignored' | 'rejected', number>>
}

const CHIPS = [
  [null, 'All'],
  ['job', 'For jobs'],
  ['ignored', 'Ignored'],
  ['rejected', 'Rejected'],
] as const

const TAKEN: Readonly<Record<NotedDelivery['disposition'], string>> = {
  job: 'for a job',
  ignored: 'no job update',
  rejected: 'not understood',
}

/** What arrived and was verified, whatever became of it. */
export function deliveriesPage(page: Page, model: DeliveriesModel): Layout {
  const { query, rows, counts } = model
  const all = counts.job + counts.ignored + counts.rejected
  const chips = html`<nav class="chips" aria-label="By what they were taken for">${CHIPS.map(
    ([disposition, name]) =>
      html`<a href="${to(page, ['deliveries'], { ...query, disposition, cursor: null })}"${(query.disposition ?? null) === disposition && html` aria-current="true"`}>${name} <b>${disposition === null ? all : counts[disposition]}</b></a>`,
  )}</nav>`
  const table =
    rows.length === 0
      ? html`<div class="card"><p class="empty inside"><br>No delivery matches.</p></div>`
      : html`<div class="card"><table class="table rows"><thead><tr><th>Delivery</th><th class="tight">Taken as</th><th class="tight">Job</th><th class="tight wide">Status</th><th class="tight wide">Endpoint</th><th class="number tight">Arrived</th><th class="number tight">Received</th></tr></thead><tbody>${rows.map((row) => deliveryRow(page, row))}</tbody></table></div>`
  return {
    title: 'Deliveries',
    place: 'deliveries',
    live: model.isFirst ? 5 : null,
    body: html`${chips}${table}${under(page, model)}`,
  }
}

function deliveryRow(page: Page, row: NotedDelivery): Html {
  const { svixId, disposition, jobId, status, endpoint, arrivals, receivedAt, note } = row
  const job =
    jobId === null
      ? html`<span class="faint">–</span>`
      : html`<a class="id" href="${to(page, ['jobs', jobId])}" title="${jobId}">${jobId.slice(0, 8)}</a>`
  return html`<tr id="delivery-${svixId}"><td class="in-meta"><a class="id" href="${to(page, ['deliveries', svixId])}">${shown(svixId, 80)}</a>${note !== null && html`<div class="second">${shown(note, 200)}</div>`}</td><td class="in-state${disposition === 'rejected' ? ' tone-bad' : ''}">${TAKEN[disposition]}</td><td class="in-id">${job}</td><td class="wide">${shown(status ?? '–', 40)}</td><td class="wide muted">${endpoint}</td><td class="in-type number muted">${arrivals === 1 ? 'once' : `${arrivals} times`}</td><td class="in-when number">${agoTime(receivedAt, page)}</td></tr>`
}

function under(page: Page, { query, rows, next, searchedTo, isFirst }: DeliveriesModel): Html {
  const { disposition } = query
  const searched = searchedTo === null || next === null ? '' : `, searched back to ${clockText(searchedTo, page)}`
  const args = typeof disposition === 'string' ? ['--disposition', disposition] : []
  return html`<div class="under">${copyable(commandText('deliveries list', args), 'Copy the command')}<div class="actions"><span>${rows.length} shown${searched}</span>${!isFirst && html`<a class="button" href="${to(page, ['deliveries'], { ...query, cursor: null })}">Newest</a>`}${next !== null && html`<a class="button" rel="next" href="${to(page, ['deliveries'], { ...query, cursor: next })}">Older</a>`}</div></div>`
}

export type DeliveryModel = {
  readonly delivery: DeliveryDetail & NotedDelivery
  /** `parsed`: the body as JSON; undefined when it is none. Null: it is hidden. */
  readonly body: { readonly parsed: unknown; readonly text: string } | 'hidden' | 'erased'
}

/** One delivery, with its body. */
export function deliveryPage(page: Page, { delivery, body }: DeliveryModel): Layout {
  const { svixId, disposition, jobId, status, endpoint, arrivals, receivedAt, lastAt, note } = delivery
  const canRead = page.role === 'write' && disposition !== 'job'
  const facts: readonly (readonly [string, Html | string])[] = [
    ['Taken as', TAKEN[disposition]],
    ...(note === null ? [] : [['Why', shown(note)] as const]),
    ['Job', jobId === null ? 'none' : html`<a class="id" href="${to(page, ['jobs', jobId])}">${jobId}</a>`],
    ['Status', visible(status ?? '–')],
    ['Endpoint', endpoint],
    ['Received', html`${clockTime(receivedAt, page)} <span class="faint">${agoTime(receivedAt, page)} ago</span>`],
    ['Arrived', arrivals === 1 ? 'once' : html`${arrivals} times, last ${clockTime(lastAt, page)}`],
  ]
  return {
    title: svixId,
    place: 'deliveries',
    live: null,
    body: html`<div class="job-head"><div class="name"><a href="${to(page, ['deliveries'])}">Deliveries</a><span class="faint">/</span>${copyable(svixId, 'Copy the id')}</div><div class="actions">${canRead && html`<form method="post" action="${to(page, ['deliveries', svixId, 'retry'])}"><button class="main">Read again</button></form>`}</div></div><div class="columns"><div class="stack">${bodyCard(page, svixId, body, disposition)}</div><div class="stack">${card('Facts', html`<dl class="facts">${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`)}${card('The same by command', html`<ul class="commands inside"><li>${copyable(commandText('deliveries show', [svixId]), 'Copy the command')}</li></ul>`)}</div></div>`,
  }
}

/** Characters of a body that are shown as text. */
const MAX_BODY_CHARS = 100_000

function bodyCard(page: Page, svixId: string, body: DeliveryModel['body'], disposition: string): Html {
  if (body === 'erased') return card('Body', html`<p class="empty">It is not kept any more.</p>`)
  if (body === 'hidden')
    return card(
      'Body',
      page.role === 'write'
        ? reveal(page, ['deliveries', svixId, 'content'])
        : html`<p class="empty">Content is hidden here (ADMIN_HIDE_CONTENT).</p>`,
    )
  const beside = disposition === 'job' ? 'as it was verified' : 'its start is kept'
  if (body.parsed !== undefined)
    return card(
      'Body',
      html`${tree(body.parsed)}<details class="inside"><summary>As text</summary><pre class="body-text">${shown(body.text, MAX_BODY_CHARS)}</pre></details>`,
      { beside },
    )
  return card('Body', html`<pre class="body-text" tabindex="0">${shown(body.text, MAX_BODY_CHARS)}</pre>`, { beside })
}
