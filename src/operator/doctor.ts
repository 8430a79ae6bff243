import { type Html, html, shown } from './html.ts'
import type { Tone } from './icons.ts'
import { card, type Layout } from './layout.ts'
import { type Page, to } from './page.ts'

type Status = 'ok' | 'warning' | 'problem' | 'skipped'

/** What the checks found, clean of secrets. */
export type DoctorReport = { readonly checks: readonly Checked[] }

type Checked = { readonly name: string; readonly group: 'here' | 'outside'; readonly items: readonly Item[] }

type Item = {
  readonly status: Status
  readonly found: string
  /** What to do; null where there is nothing to do. */
  readonly cure: string | null
}

const WORDS: Readonly<Record<Status, readonly [mark: string, word: string, tone: Tone]>> = {
  ok: ['✓', 'Fine', 'ok'],
  warning: ['!', 'Warning', 'warn'],
  problem: ['✗', 'Problem', 'bad'],
  skipped: ['-', 'Not checked', 'plain'],
}

const HEADINGS = { here: 'In this service', outside: 'From outside' } as const

/** Characters of one finding. */
const MAX_FOUND = 600

/** Offers the checks of `doctor`. `report`: what they have just found; null before. */
export function doctorPage(page: Page, report: DoctorReport | null): Layout {
  const groups = report !== null && (['here', 'outside'] as const).map((group) => groupCard(report, group))
  return {
    title: 'Doctor',
    place: 'none',
    live: null,
    body: html`${card('Doctor', offer(page, report), { beside: html`<a href="${to(page)}">Overview</a>` })}${groups}`,
  }
}

function offer(page: Page, report: DoctorReport | null): Html {
  const text =
    'Looks for what keeps deliveries, results or the handler from working, and says what to do. Nothing is handed to your handler. It may take a minute and a half; who starts it is noted.'
  const button =
    page.role === 'write'
      ? html`<form method="post" action="${to(page, ['doctor'])}"><button class="main">${report === null ? 'Run the checks' : 'Run them again'}</button></form>`
      : html`<p class="muted">The token that you signed in with only reads: somebody with ADMIN_TOKEN can run the checks.</p>`
  return html`<div class="inside">${report !== null && html`<p role="status"><b>${summary(report)}</b></p>`}<p>${text}</p><br>${button}</div>`
}

function summary({ checks }: DoctorReport): string {
  const items = checks.flatMap((check) => check.items)
  const count = (status: Status) => items.filter((item) => item.status === status).length
  const [problems, warnings] = [count('problem'), count('warning')]
  if (problems + warnings === 0) return 'No problem was found.'
  return `${counted(problems, 'problem')}, ${counted(warnings, 'warning')}.`
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

function groupCard({ checks }: DoctorReport, group: Checked['group']): Html | null {
  const own = checks.filter((check) => check.group === group)
  if (own.length === 0) return null
  const rows = own.flatMap(({ name, items }) => items.map((item) => itemRow(name, item)))
  return card(
    HEADINGS[group],
    html`<table class="table"><thead><tr><th class="tight">State</th><th>Check, and what it found</th></tr></thead><tbody>${rows}</tbody></table>`,
  )
}

function itemRow(name: string, { status, found, cure }: Item): Html {
  const [mark, word, tone] = WORDS[status]
  // Where nothing is wrong there is nothing to do.
  const todo = cure !== null && status !== 'ok'
  return html`<tr><td class="tight"><span class="state"><b class="tone-${tone}" aria-hidden="true">${mark}</b><span>${word}</span></span></td><td><b>${name}</b><div class="found">${shown(found, MAX_FOUND)}</div>${todo && html`<div class="second">What to do: ${shown(cure, MAX_FOUND)}</div>`}</td></tr>`
}
