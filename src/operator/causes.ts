import { type Html, html, shown } from './html.ts'
import { icon } from './icons.ts'
import { type Page, to } from './page.ts'
import { causeText } from './state.ts'
import { clockText, spanText } from './time.ts'

/** Dead jobs that share a cause. */
export type CauseModel = {
  readonly cause: string
  readonly code: string
  readonly message: string
  readonly jobs: number
  readonly types: readonly string[]
  readonly endpoints: readonly string[]
  readonly firstAt: number
  readonly lastAt: number
  readonly sample: string
  /** When Reducto deletes the first of their results, ms; null: they are saved, or none is there any more. */
  readonly purgeAt: number | null
}

/** A row for each cause, with what to do about all of its jobs. */
export function causeRows(page: Page, causes: readonly CauseModel[], isWhole: boolean): Html {
  return html`<table class="table"><thead><tr><th>Cause</th><th class="number tight">Jobs</th><th class="tight wide">Types</th>${isWhole && html`<th class="tight wide">Endpoints</th>`}<th class="tight wide">First – last</th><th class="tight"></th></tr></thead><tbody>${causes.map((cause) => row(page, cause, isWhole))}</tbody></table>`
}

function row(page: Page, one: CauseModel, isWhole: boolean): Html {
  const { cause, code, message, jobs, types, endpoints, firstAt, lastAt, sample, purgeAt } = one
  const left = purgeAt === null ? 0 : purgeAt - page.now
  const list = to(page, ['jobs'], { state: 'dead', cause })
  const first = clockText(firstAt, page)
  return html`<tr><td><span class="state">${icon('dead', 'bad')}<a href="${list}">${causeText(code)}</a></span><div class="second">${shown(message, 300)}</div>${left > 0 && html`<div class="second tone-warn">Still at Reducto for about ${spanText(left)}</div>`}${isWhole && html`<div class="second">For example <a class="id" href="${to(page, ['jobs', sample])}">${sample.slice(0, 8)}</a></div>`}</td><td class="number"><b>${jobs}</b></td><td class="wide">${shown(types.length === 0 ? 'unknown' : types.join(', '), 60)}</td>${isWhole && html`<td class="wide muted">${shown(endpoints.join(', '), 60)}</td>`}<td class="wide tight muted">${firstAt === lastAt ? first : html`${first} – ${clockText(lastAt, page)}`}</td><td class="number">${page.role === 'write' && html`<a class="button" href="${to(page, ['confirm'], { do: 'retry', state: 'dead', cause })}">Retry ${jobs}…</a>`}</td></tr>`
}
