import { type Html, html, shown } from './html.ts'
import { icon } from './icons.ts'
import { card, type Layout } from './layout.ts'
import { type Page, to } from './page.ts'
import { agoTime, clockTime } from './time.ts'

type ActionModel = {
  readonly at: number
  readonly who: string
  readonly role: string
  readonly what: string
  /** Which jobs, as their filter says; a pause's reason. */
  readonly filter: Readonly<Record<string, unknown>> | null
  readonly count: number
  readonly ids: readonly string[]
}

export type ActionsModel = {
  readonly rows: readonly ActionModel[]
  readonly next: string | null
  readonly isFirst: boolean
}

const WORDS: Readonly<Record<string, string>> = {
  retry: 'queued jobs again',
  replay: 'handed results over again',
  erase: 'erased jobs',
  pause: 'paused the worker',
  resume: 'resumed the worker',
  retry_deliveries: 'read deliveries again',
  erase_deliveries: 'erased deliveries',
  show: 'looked at the content of a job',
  show_delivery: 'looked at the body of a delivery',
  doctor: 'had doctor look at the service',
}

/** Ids that a row names. */
const NAMED = 3

/** Who did what, from the page, the API and the command line. */
export function actionsPage(page: Page, { rows, next, isFirst }: ActionsModel): Layout {
  const body =
    rows.length === 0
      ? html`<p class="empty inside">Nobody has done anything yet. What people do here, over the API or on the command line is noted.</p>`
      : html`<table class="table"><thead><tr><th class="tight">Who</th><th>What</th><th class="number tight">Jobs</th><th class="wide">Which</th><th class="number tight">When</th></tr></thead><tbody>${rows.map((row) => actionRow(page, row))}</tbody></table>`
  return {
    title: 'Actions',
    place: 'actions',
    live: isFirst ? 15 : null,
    body: html`${card('What people did', body, { beside: 'names are what people said at the sign-in' })}<div class="under"><span></span><div class="actions">${!isFirst && html`<a class="button" href="${to(page, ['actions'])}">Newest</a>`}${next !== null && html`<a class="button" rel="next" href="${to(page, ['actions'], { cursor: next })}">Older</a>`}</div></div>`,
  }
}

function actionRow(page: Page, { at, who, role, what, filter, count, ids }: ActionModel): Html {
  const isDelivery = what.endsWith('_deliveries') || what === 'show_delivery'
  const named = ids.slice(0, NAMED).map((id) => {
    const path = isDelivery ? ['deliveries', id] : ['jobs', id]
    return html`<a class="id" href="${to(page, path)}" title="${shown(id)}">${shown(id, 8)}</a> `
  })
  const more = count - Math.min(ids.length, NAMED)
  return html`<tr><td><span class="state">${icon('person', 'accent')}<span>${shown(who, 64)}</span></span>${role !== who && html`<div class="second">${role}</div>`}</td><td>${WORDS[what] ?? what.replaceAll('_', ' ')}</td><td class="number">${count > 0 && count}</td><td class="wide">${filter !== null && html`<code class="muted">${filterText(filter)}</code> `}${named}${ids.length > 0 && more > 0 && html`<span class="faint">and ${more} more</span>`}</td><td class="number" >${clockTime(at, page)}<div class="second">${agoTime(at, page)} ago</div></td></tr>`
}

function filterText(filter: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(filter).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return shown(parts.join(' '), 200)
}
