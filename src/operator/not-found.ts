import { commandText, copyable } from './command.ts'
import { html, shown } from './html.ts'
import { card, type Layout } from './layout.ts'
import { type Page, to } from './page.ts'

/** What was looked for; null when it is a page that there is not. */
export type NotFoundModel = {
  readonly what: 'job' | 'delivery' | 'page'
  readonly id: string
  /** Ids that begin so: more than one does. */
  readonly candidates: readonly string[]
  /** When the last delivery arrived, in words; null: none ever did. */
  readonly lastDelivery: string | null
}

export function notFoundPage(page: Page, { what, id, candidates, lastDelivery }: NotFoundModel): Layout {
  return { title: 'Not found', place: 'none', live: null, body: card(title(), body()) }

  function title(): string {
    if (what === 'page') return 'There is no such page'
    if (candidates.length > 0) return `More than one ${what} begins with ${shown(id, 64)}`
    return what === 'job'
      ? `No delivery for the job ${shown(id, 64)} has arrived`
      : `There is no delivery ${shown(id, 64)}`
  }

  function body() {
    if (what === 'page')
      return html`<p class="inside">Go to the <a href="${to(page)}">overview</a> or the <a href="${to(page, ['jobs'])}">jobs</a>.</p>`
    const kind = what === 'job' ? 'jobs' : 'deliveries'
    if (candidates.length > 0)
      return html`<ul class="inside stack">${candidates.map((one) => html`<li><a class="id" href="${to(page, [kind, one])}">${shown(one, 128)}</a></li>`)}</ul>`
    return html`<div class="inside"><p class="muted">What to look at:</p><ol class="list"><li>Is it the id as Reducto gave it? Search for <a href="${to(page, ['jobs'], { q: id.slice(0, 8) })}">its beginning</a>, or for words of its metadata.</li><li>Has the job ended? Reducto sends its webhook only then.</li><li>In the Svix dashboard: did its message get an answer other than 200? Press Resend there.</li><li>Were requests <a href="${to(page)}#refused">refused</a> here in the last day?</li><li>${lastDelivery === null ? 'No delivery has ever arrived here: is this service’s URL an endpoint in Svix?' : `The last delivery of any job arrived ${lastDelivery} ago.`}</li></ol><br>${copyable(commandText('doctor'), 'Copy the command')}</div>`
  }
}
