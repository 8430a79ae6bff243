import type { JobRow } from '../inbox/inbox.ts'
import { commandText, copyable } from './command.ts'
import { type Html, html, shown } from './html.ts'
import { idLink, whyNotDone } from './jobs.ts'
import { card, type Layout } from './layout.ts'
import { type Page, type Query, to } from './page.ts'
import { stateLabel } from './state.ts'
import { agoTime } from './time.ts'

export type Doing = 'retry' | 'refetch' | 'replay' | 'delete'

/** What would be done, and to how many: what is sent then is bound to just these. */
export type ConfirmModel = {
  readonly doing: Doing
  /** How many match now. */
  readonly count: number
  /** Deliveries without a job whose bodies go with them. */
  readonly deliveries: number
  /** The first of them. */
  readonly named: readonly JobRow[]
  /** Jobs that were named, but are left alone, and why. */
  readonly skipped: readonly { readonly id: string; readonly why: string }[]
  /** Only jobs without activity after this time (ms). */
  readonly until: number
  /** There are more than one call takes. */
  readonly isMore: boolean
  /** Which jobs, as fields of the form: the filter's, or ids. */
  readonly fields: Query
  /** The options of the command that does the same. */
  readonly args: readonly string[]
  /** More matched than were shown: how many had been. */
  readonly changedFrom: number | null
}

const VERBS: Readonly<Record<Doing, { readonly do: string; readonly what: string; readonly command: string }>> = {
  retry: {
    do: 'Retry',
    what: 'They are queued again with fresh tries: what is saved is handed over, the rest is fetched. Many at once are spread over up to ten minutes.',
    command: 'jobs retry',
  },
  refetch: {
    do: 'Fetch anew',
    what: 'Their results are fetched from Reducto again and replace what is saved, then are handed over. Reducto keeps a result for about 12 hours: what is gone there stays as it is saved.',
    command: 'jobs retry',
  },
  replay: {
    do: 'Replay',
    what: 'Your handler is called again with what is saved. Nothing is fetched.',
    command: 'jobs replay',
  },
  delete: {
    do: 'Delete',
    what: 'Results, metadata and bodies are erased, and cannot be brought back. The ids stay, so that no repeated delivery brings them back.',
    command: 'jobs delete',
  },
}

/** Asks before many jobs are touched. The number is named, and never more are taken. */
export function confirmPage(page: Page, model: ConfirmModel): Layout {
  const { doing, count, deliveries, changedFrom } = model
  const verb = VERBS[doing]
  const number = numberOf(model)
  const all = count + deliveries
  const changed =
    changedFrom !== null &&
    html`<p class="notice refused" role="alert">${all} match now, not ${changedFrom}: nothing was done. Look at them again.</p>`
  const body =
    all === 0
      ? html`<p class="inside">No job matches any more. <a href="${to(page, ['jobs'])}">Back to the jobs</a></p>`
      : html`<p class="inside muted">${verb.what}</p>${model.isMore && html`<p class="inside">One call takes ${count} at most; the rest needs another one.</p>`}${named(page, model)}${form(page, model, `${verb.do} ${number}`)}`
  const options = [
    ...model.args,
    ...(doing === 'refetch' ? ['--refetch'] : []),
    ...(model.args[0]?.startsWith('--') ? ['--expect', String(all)] : []),
  ]
  return {
    title: `${verb.do} ${number}`,
    place: 'jobs',
    live: null,
    body: html`${changed}${otherDoings(page, model)}${card(html`${verb.do} ${number}?`, body)}${skippedCard(model)}<div class="under">${copyable(commandText(verb.command, options), 'Copy the command')}</div>`,
  }
}

/** For somebody who follows the link of a colleague who may change things. */
export function readOnlyPage(page: Page): Layout {
  const body = html`<p class="inside">You are signed in with the token that only reads. <a href="${to(page, ['jobs'])}">Go to the jobs</a></p>`
  return { title: 'Read only', place: 'jobs', live: null, body: card('This changes jobs', body) }
}

function numberOf({ count, deliveries }: ConfirmModel): string {
  const jobs = `${count} ${count === 1 ? 'job' : 'jobs'}`
  if (deliveries === 0) return jobs
  return `${jobs} and ${deliveries} ${deliveries === 1 ? 'delivery' : 'deliveries'} without a job`
}

/** The same jobs, for something else. */
function otherDoings(page: Page, { doing, fields }: ConfirmModel): Html {
  const all = Object.entries(VERBS) as [Doing, (typeof VERBS)[Doing]][]
  return html`<nav class="chips" aria-label="What to do with them">${all.map(
    ([other, verb]) =>
      html`<a href="${to(page, ['confirm'], { ...fields, do: other })}"${other === doing && html` aria-current="true"`}>${verb.do}</a>`,
  )}</nav>`
}

function named(page: Page, { named: rows, count }: ConfirmModel): Html {
  const more = count - rows.length
  return html`<table class="table"><tbody>${rows.map(
    (row) =>
      html`<tr><td class="tight">${stateLabel(row)}</td><td class="tight">${idLink(page, row.jobId)}</td><td class="muted">${whyNotDone(page, row) ?? ''}</td><td class="number tight">${agoTime(row.updatedAt, page)}</td></tr>`,
  )}</tbody></table>${more > 0 && html`<p class="empty inside"><br>and ${more} more.</p>`}`
}

function form(page: Page, { doing, count, deliveries, until, fields }: ConfirmModel, text: string): Html {
  const all: Query = { ...fields, do: doing, until, expect: count + deliveries }
  const inputs = Object.entries(all).flatMap(([name, value]) =>
    [value]
      .flat()
      .flatMap((one) =>
        one === null || one === undefined ? [] : [html`<input type="hidden" name="${name}" value="${String(one)}">`],
      ),
  )
  return html`<form method="post" action="${to(page, ['bulk'])}" class="inside"><br>${inputs}<div class="actions"><button class="main${doing === 'delete' ? ' danger' : ''}" autofocus>${text}</button><a class="button" href="${to(page, ['jobs'])}" data-do="back">Cancel</a></div></form>`
}

function skippedCard({ skipped }: ConfirmModel): Html | null {
  if (skipped.length === 0) return null
  return card(
    'Left alone',
    html`<dl class="facts">${skipped.slice(0, 50).map(({ id, why }) => html`<dt class="id">${shown(id, 40)}</dt><dd>${shown(why)}</dd>`)}</dl>`,
  )
}
