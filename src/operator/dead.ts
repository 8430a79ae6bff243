import { type CauseModel, causeRows } from './causes.ts'
import { commandText, copyable } from './command.ts'
import { html } from './html.ts'
import { icon } from './icons.ts'
import { card, type Layout } from './layout.ts'
import { type Page, to } from './page.ts'

export type DeadModel = {
  readonly causes: readonly CauseModel[]
  readonly jobs: number
}

/** Why jobs are dead: those that share a cause together, the newest death first. */
export function deadPage(page: Page, { causes, jobs }: DeadModel): Layout {
  const list =
    causes.length === 0
      ? html`<section class="card verdict is-ok">${icon('done', 'ok', 18)}<div><h2>No job is dead.</h2><p>Jobs that this service cannot finish appear here, with their cause and what to do about it.</p></div></section>`
      : card(html`Dead jobs by cause <span class="badge bad">${jobs}</span>`, causeRows(page, causes, true), {
          beside: html`<a href="${to(page, ['jobs'], { state: 'dead' })}">All of them</a>`,
        })
  return {
    title: 'Dead',
    place: 'dead',
    live: 15,
    body: html`${list}<div class="under">${copyable(commandText('jobs list', ['--state', 'dead']), 'Copy the command')}</div>`,
  }
}
