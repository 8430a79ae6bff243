import type { JobFilter } from '../inbox/inbox.ts'
import type { ListedJob } from '../operations/list.ts'
import { commandText, copyable, filterArgs } from './command.ts'
import { type Html, html, shown, visible } from './html.ts'
import { type Icon, icon, type Tone } from './icons.ts'
import type { Layout } from './layout.ts'
import { type Page, type Query, to } from './page.ts'
import { pairsLine } from './pairs.ts'
import { causeText, stateLabel } from './state.ts'
import { agoTime, clockText, spanText, tookText } from './time.ts'

export type JobsModel = {
  readonly filter: JobFilter
  /** The filter as the address has it, by which links keep it. */
  readonly query: Query
  readonly rows: readonly ListedJob[]
  /** Where the next page begins; null when there is none. */
  readonly next: string | null
  /** The oldest that was looked at, ms; null when all were. */
  readonly searchedTo: number | null
  readonly isFirst: boolean
  /** Exact counts of all jobs by state. */
  readonly counts: Readonly<Record<'expected' | 'queued' | 'running' | 'done' | 'dead', number>>
  readonly endpoints: readonly string[]
  readonly types: readonly string[]
}

const CHIPS: readonly (readonly [
  state: keyof JobsModel['counts'] | null,
  name: string,
  icon: Icon | null,
  tone: Tone,
])[] = [
  [null, 'All', null, 'plain'],
  ['queued', 'Waiting', 'waiting', 'wait'],
  ['running', 'Running', 'running', 'accent'],
  ['done', 'Done', 'done', 'ok'],
  ['dead', 'Dead', 'dead', 'bad'],
  ['expected', 'Expected', 'expected', 'wait'],
]

const SPANS: readonly (readonly [value: string, text: string])[] = [
  ['', 'Any time'],
  ['1h', 'Last hour'],
  ['24h', 'Last 24 hours'],
  ['7d', 'Last 7 days'],
  ['30d', 'Last 30 days'],
]

export function jobsPage(page: Page, model: JobsModel): Layout {
  const { rows, filter } = model
  const body = html`${filterForm(page, model)}${chips(page, model)}${others(page, model)}
<form method="get" action="${to(page, ['confirm'])}" id="rows"><input type="hidden" name="until" value="${page.now}">${rows.length > 0 ? table(page, rows) : nothing(model)}${page.role === 'write' && rows.length > 0 && bulk(page, model)}</form>
${under(page, model)}`
  return { title: filter.state === 'dead' ? 'Dead jobs' : 'Jobs', place: 'jobs', live: model.isFirst ? 5 : null, body }
}

function filterForm(page: Page, { query, types, endpoints }: JobsModel): Html {
  const kept = ['state', ...moreFilters(query)].flatMap((name) => {
    const values = [query[name] ?? []].flat()
    return values.map((value) => html`<input type="hidden" name="${name}" value="${String(value)}">`)
  })
  return html`<form class="filters" method="get" action="${to(page, ['jobs'])}" role="search"><div class="search">${icon('search')}<input type="search" name="q" value="${String(query.q ?? '')}" placeholder="Job id, svix id, or words of the metadata and the error" aria-label="Search jobs" maxlength="200" autocomplete="off" spellcheck="false"><kbd aria-hidden="true">/</kbd></div>${kept}${choice('type', 'Type', 'Any type', types, query)}${choice('status', 'Status', 'Any status', ['Completed', 'Failed'], query)}${choice('endpoint', 'Endpoint', 'Any endpoint', endpoints, query)}<select name="since" aria-label="Time" data-do="submit">${options(SPANS, String(query.since ?? ''))}</select><noscript><button>Search</button></noscript></form>`
}

function choice(name: string, label: string, any: string, values: readonly string[], query: Query): Html {
  const given = String(query[name] ?? '')
  const all = [['', any] as const, ...values.map((value) => [value, value] as const)]
  return html`<select name="${name}" aria-label="${label}" data-do="submit">${options(all, given)}</select>`
}

/** Also the one that is given but not among them: a link from elsewhere can have it. */
function options(all: readonly (readonly [value: string, text: string])[], given: string): readonly Html[] {
  const known = all.some(([value]) => value === given) ? all : [...all, [given, shown(given, 40)] as const]
  return known.map(
    ([value, text]) => html`<option value="${value}"${value === given && html` selected`}>${text}</option>`,
  )
}

function chips(page: Page, { query, counts }: JobsModel): Html {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return html`<nav class="chips" aria-label="By state">${CHIPS.map(([state, name, shape, tone]) => {
    const isHere = (query.state ?? null) === state
    const href = to(page, ['jobs'], { ...query, state, cursor: null })
    return html`<a href="${href}"${isHere && html` aria-current="true"`}>${shape && icon(shape, tone)}<span>${name}</span><b>${state === null ? all : counts[state]}</b></a>`
  })}</nav>`
}

/** The names of filters that have no field of their own. */
function moreFilters(query: Query): readonly string[] {
  return [
    'stage',
    'code',
    'error',
    'cause',
    'until',
    ...Object.keys(query).filter((name) => name.startsWith('metadata.')),
  ]
}

/** These filters, each with a link that takes it away. */
function others(page: Page, { query }: JobsModel): Html | null {
  const given = moreFilters(query).flatMap((name) =>
    [query[name] ?? []].flat().map((value) => ({ name, value: String(value) })),
  )
  if (given.length === 0) return null
  return html`<p class="chips">${given.map(({ name, value }) => {
    const left = [query[name] ?? []]
      .flat()
      .map(String)
      .filter((one) => one !== value)
    return html`<a href="${to(page, ['jobs'], { ...query, [name]: left, cursor: null })}" aria-label="Remove the filter ${name} ${shown(value, 60)}">${name} <b>${shown(value, 60)}</b> ×</a>`
  })}</p>`
}

function table(page: Page, rows: readonly ListedJob[]): Html {
  const picks = page.role === 'write'
  return html`<div class="card"><table class="table rows"><thead><tr>${picks && html`<th class="tight"><span class="pick"><input type="checkbox" data-do="all" aria-label="Select all on this page" hidden></span></th>`}<th class="tight">State</th><th class="tight">Job</th><th class="tight">Type</th><th>${page.hidesContent ? 'Why it is not done' : 'Metadata, and why it is not done'}</th><th class="tight">Endpoint</th><th class="tight number">Took</th><th class="tight number">Changed</th></tr></thead><tbody>${rows.map((row) => jobRow(page, row, picks))}</tbody></table></div>`
}

function jobRow(page: Page, job: ListedJob, picks: boolean): Html {
  const { jobId, type, endpoint } = job
  const why = whyNotDone(page, job)
  const pick = html`<td class="pick-cell"><span class="pick"><input type="checkbox" name="id" value="${jobId}" aria-label="Select ${jobId}"></span></td>`
  return html`<tr id="job-${jobId}">${picks && pick}<td class="in-state">${stateLabel(job)}</td><td class="in-id">${idLink(page, jobId)}</td><td class="in-type">${type === null ? html`<span class="faint">–</span>` : visible(type)}</td><td class="in-meta">${!page.hidesContent && metadataOf(job)}${why !== null && html`<div class="second">${why}</div>`}</td><td class="muted away">${endpoint}</td><td class="number muted away">${tookOf(job)}</td><td class="number in-when">${agoTime(job.updatedAt, page)}</td></tr>`
}

function metadataOf({ metadata, isMetadataOmitted }: ListedJob): Html {
  return isMetadataOmitted ? html`<span class="faint">metadata too large for a list</span>` : pairsLine(metadata)
}

/** The start of an id is enough to tell one from another; the whole stands behind it. */
export function idLink(page: Page, jobId: string): Html {
  return html`<a class="id" href="${to(page, ['jobs', jobId])}" title="${jobId}">${jobId.slice(0, 8)}</a>`
}

/** From the first delivery until it was done, or is now given up; nothing while it is on its way. */
function tookOf({ state, createdAt, updatedAt }: ListedJob): string {
  return state === 'done' || state === 'dead' ? tookText(updatedAt - createdAt) : '–'
}

/** Why it is not done, and when it is tried next; null when there is nothing to say. */
export function whyNotDone(
  { now }: Pick<Page, 'now'>,
  { state, reason, dueAt, failures }: Pick<ListedJob, 'state' | 'reason' | 'dueAt' | 'failures'>,
): string | null {
  if (reason === null || state === 'done') return null
  const cause =
    reason.code === 'unfinished' && state !== 'dead' ? 'Not finished at Reducto yet' : causeText(reason.code)
  const text = `${cause}: ${shown(reason.message, 200)}`
  if (state !== 'queued') return text
  const next = dueAt > now ? `in ${spanText(dueAt - now)}` : 'now'
  return failures > 0 ? `${text} · try ${failures + 1} ${next}` : `${text} · looked at again ${next}`
}

function nothing({ searchedTo, next }: JobsModel): Html {
  const more = searchedTo !== null && next !== null
  return html`<div class="card"><p class="empty inside"><br>${more ? 'Nothing among those searched so far.' : 'No job matches.'}</p></div>`
}

function bulk(page: Page, { query, rows, next, filter }: JobsModel): Html {
  const all = next === null ? `All ${rows.length} that match` : 'All that match'
  const isNarrow = Object.keys(filter).length > 0
  const { cursor: _, limit: __, ...kept } = query
  return html`<div class="bulk" data-bulk><b><span data-count>Selected</span></b>${isNarrow && html`<a href="${to(page, ['confirm'], { ...kept, do: 'retry', state: kept.state ?? 'dead' })}">${all}…</a>`}<button class="main" name="do" value="retry" formmethod="post" formaction="${to(page, ['bulk'])}">Retry</button><button name="do" value="replay" formmethod="post" formaction="${to(page, ['bulk'])}">Replay</button><button class="danger" name="do" value="delete">Delete…</button></div>`
}

function under(page: Page, { filter, query, rows, next, searchedTo, isFirst, counts }: JobsModel): Html {
  const total = onlyState(filter)
    ? filter.state === undefined
      ? Object.values(counts).reduce((a, b) => a + b, 0)
      : counts[filter.state]
    : null
  const searched = searchedTo === null || next === null ? '' : `searched back to ${clockText(searchedTo, page)}`
  const number = total === null ? `${rows.length} shown` : `${rows.length} of ${total}`
  return html`<div class="under">${copyable(commandText('jobs list', filterArgs(filter)), 'Copy the command')}<div class="actions"><span>${number}${searched && `, ${searched}`}</span>${!isFirst && html`<a class="button" href="${to(page, ['jobs'], { ...query, cursor: null })}">Newest</a>`}${next !== null && html`<a class="button" rel="next" href="${to(page, ['jobs'], { ...query, cursor: next })}">Older</a>`}</div></div>`
}

/** Whether the counts by state are the counts of this filter. */
function onlyState(filter: JobFilter): boolean {
  return Object.entries(filter).every(([name, value]) => name === 'state' || value === undefined)
}
