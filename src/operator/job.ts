import type { JobDetail } from '../inbox/inbox.ts'
import { isRequeueable } from '../job.ts'
import type { FileEntry, JobRecord } from '../results/record.ts'
import { formatBytes } from '../units.ts'
import { commandText, copyable, shellWord } from './command.ts'
import { type Html, html, shown, visible } from './html.ts'
import { icon } from './icons.ts'
import { jobVerdictOf } from './job-verdict.ts'
import { card, type Layout } from './layout.ts'
import { type Page, to } from './page.ts'
import { pairsList } from './pairs.ts'
import type { Section } from './preview/read.ts'
import { sections } from './preview/sections.ts'
import { agoTime, clockTime } from './time.ts'
import { type DoneByPerson, timeline, timelineOf } from './timeline.ts'

/** What of a result is shown: `hidden` by ADMIN_HIDE_CONTENT; `late` when the store takes its time. */
export type ResultView =
  | { readonly is: 'sections'; readonly sections: readonly Section[] }
  | { readonly is: 'hidden' }
  | { readonly is: 'late' }
  | { readonly is: 'unreadable'; readonly why: string }

export type JobModel = {
  readonly job: JobDetail & { readonly metadata: unknown }
  readonly record: JobRecord | null
  readonly result: ResultView | null
  /** The first files of its list. */
  readonly files: readonly FileEntry[]
  readonly actions: readonly DoneByPerson[]
  readonly hasHandler: boolean
  /** The handler's file, as the command line names it; null when there is none. */
  readonly handlerPath: string | null
  readonly purgeAt: number
  /** Where the API is, as curl reaches it; null when PUBLIC_URL does not say. */
  readonly apiUrl: string
  /** Why the store of results cannot be read now; null when it can. */
  readonly trouble: string | null
  /** Content is on the page although it is hidden elsewhere: a person asked for it, and that was noted. */
  readonly isRevealed: boolean
}

export function jobPage(page: Page, model: JobModel): Layout {
  const { job, record, result } = model
  const isOpen = job.state !== 'done' && job.state !== 'dead'
  const body = html`${head(page, model)}${verdict(model, page)}<div class="columns"><div class="stack">${record && result && resultCard(page, record, result)}${record && model.files.length > 0 && filesCard(page, record, model.files)}${record === null && card('Result', html`<p class="empty">${model.trouble === null ? noResult(job) : `The results cannot be read now: ${shown(model.trouble)}`}</p>`)}</div><div class="stack">${card('Timeline', timeline(page, timelineOf({ ...job, actions: model.actions, hasHandler: model.hasHandler })), { beside: 'latest first' })}${metadataCard(page, model)}${factsCard(page, model)}${commandsCard(model)}</div></div>`
  return { title: job.jobId, place: 'jobs', live: model.isRevealed ? null : isOpen ? 2 : 15, body }
}

function head(page: Page, { job, apiUrl, record, hasHandler }: JobModel): Html {
  const { jobId } = job
  const canQueue = page.role === 'write' && isRequeueable(job)
  const isReplay = record !== null && record.gave_up === undefined && hasHandler
  const act = (what: string, text: string, kind: string) =>
    html`<form method="post" action="${to(page, ['jobs', jobId, what])}"><input type="hidden" name="until" value="${page.now}"><button class="${kind}" data-key="${what === 'fetch' ? '' : 'r'}">${text}</button></form>`
  const ask = (what: string, text: string, kind: string) =>
    html`<a class="button ${kind}" href="${to(page, ['confirm'], { do: what, id: jobId })}">${text}</a>`
  return html`<div class="job-head"><div class="name"><a href="${to(page, ['jobs'])}">Jobs</a><span class="faint">/</span>${copyable(jobId, 'Copy the id')}</div><div class="actions">${canQueue && (isReplay ? act('replay', 'Replay handler', 'main') : act('retry', job.state === 'queued' ? 'Try now' : 'Retry', 'main'))}${canQueue && record !== null && ask('refetch', 'Fetch anew…', '')}${copies(jobId, apiUrl)}${page.role === 'write' && ask('delete', 'Delete…', 'danger')}</div></div>`
}

function copies(jobId: string, apiUrl: string): Html {
  const url = `${apiUrl}/jobs/${jobId}`
  const curl = (more: string, target: string) =>
    `curl ${more}-H "Authorization: Bearer $ADMIN_TOKEN" ${shellWord(target)}`
  const all = [curl('', url), curl('-X POST ', `${url}/retry`), curl('-OJ ', `${url}/files/job.json`)]
  return html`<details class="copies"><summary class="button">${icon('copy')}Copy as…</summary><div><h3>As curl</h3><ul class="commands">${all.map((text) => html`<li>${copyable(text, 'Copy')}</li>`)}</ul></div></details>`
}

function verdict({ job, record, hasHandler, purgeAt }: JobModel, { now }: Page): Html {
  const found = jobVerdictOf({ now, job, record, hasHandler, purgeAt })
  return html`<section class="card verdict is-${found.tone}" aria-label="How it stands">${icon(found.icon, found.tone, 18)}<div><h2><b>${found.bold}</b></h2>${found.text !== '' && html`<p>${found.text}</p>`}${found.error !== null && html`<pre class="said-error">${found.error}</pre>`}</div></section>`
}

function noResult({ state, stage }: JobDetail): string {
  if (state === 'done') return 'Nothing is saved of this job any more.'
  return state === 'expected' ? 'The job has not ended yet.' : stage === 'fetch' ? 'Not fetched yet.' : 'Not saved.'
}

/** `job.json · 1.9 KiB`, and the number of files. */
function tabs(page: Page, { job_id, job, files }: JobRecord): Html {
  return html`<span class="beside tabs"><a href="#result" aria-current="true">Readable</a><a href="${fileLink(page, job_id, job.path)}" download>job.json · ${formatBytes(job.bytes)}</a>${files.count > 0 ? html`<a href="#files">Files · ${files.count}</a>` : html`<span>Files · 0</span>`}</span>`
}

function fileLink(page: Page, jobId: string, path: string): string {
  return to(page, ['api', 'jobs', jobId, 'files', ...path.split('/')])
}

function resultCard(page: Page, record: JobRecord, result: ResultView): Html {
  const title = html`Result <span class="tag">${visible(record.type ?? record.status)}</span>`
  return html`<section class="card" id="result"><div class="head"><h2>${title}</h2>${result.is !== 'hidden' && tabs(page, record)}</div>${warnings(record)}${resultBody(page, record.job_id, result)}</section>`
}

function warnings({ warning, gave_up, files }: JobRecord): Html | null {
  const texts = [
    warning,
    gave_up && `Only a part of the result is saved: ${gave_up.message}`,
    files.failed > 0 ? `${files.failed} files could not be downloaded.` : undefined,
  ].filter((text) => text !== undefined)
  return texts.length === 0 ? null : html`${texts.map((text) => html`<p class="inside tone-warn">${shown(text)}</p>`)}`
}

export function resultBody(page: Page, jobId: string, result: ResultView): Html {
  switch (result.is) {
    case 'sections':
      return sections(page, jobId, result.sections)
    case 'unreadable':
      return html`<p class="empty inside">It cannot be shown here: ${shown(result.why)}</p>`
    case 'late':
      return html`<p class="empty inside" data-fragment="${to(page, ['jobs', jobId, 'preview'])}"><a href="${to(page, ['jobs', jobId], { result: 'wait' })}">Show the result</a></p>`
    case 'hidden':
      return page.role === 'write' ? reveal(page, ['jobs', jobId, 'content']) : HIDDEN
  }
}

const HIDDEN = html`<p class="empty inside">Content is hidden here (ADMIN_HIDE_CONTENT).</p>`

/** Content behind a click that is noted. */
export function reveal(page: Page, path: readonly string[]): Html {
  return html`<form method="post" action="${to(page, path)}" class="inside"><p class="empty">Content is hidden here (ADMIN_HIDE_CONTENT). Who looks at it is noted.</p><br><button>Show</button></form>`
}

/** Files that the page lists; more are in `files.jsonl`. */
const MAX_FILES = 100

function filesCard(page: Page, { job_id, files }: JobRecord, entries: readonly FileEntry[]): Html {
  const rows = entries.slice(0, MAX_FILES).map((entry) => {
    const from = html`<td class="mono muted wide">${shown(`${entry.in}#${entry.pointer}`, 300)}</td>`
    if ('error' in entry)
      return html`<tr><td>${icon('dead', 'bad')} <span class="tone-bad">not downloaded: ${shown(entry.error, 200)}</span></td>${from}<td></td><td></td></tr>`
    const name = entry.path.split('/').slice(-2).join('/')
    return html`<tr><td class="mono">${shown(name, 200)}${entry.warning !== undefined && html`<div class="second">${shown(entry.warning)}</div>`}</td>${from}<td class="number">${formatBytes(entry.bytes)}</td><td class="number tight"><a href="${fileLink(page, job_id, entry.path)}" download aria-label="Download ${shown(name, 200)}">${icon('download')}</a></td></tr>`
  })
  const more = files.count - rows.length
  return card(
    'Files',
    html`<table class="table"><thead><tr><th>File</th><th class="wide">Its link stood at</th><th class="number tight">Size</th><th class="tight"><span class="wide"></span></th></tr></thead><tbody>${rows}</tbody></table>${more > 0 && html`<p class="empty inside">${more} more in <a href="${fileLink(page, job_id, files.path)}" download>files.jsonl</a>.</p>`}`,
    { beside: 'never opened here: downloads only', id: 'files' },
  )
}

function metadataCard(page: Page, { job, result }: JobModel): Html {
  if (result?.is === 'hidden' || (page.hidesContent && result === null)) return card('Metadata', HIDDEN)
  return card('Metadata', pairsList(job.metadata), { beside: 'digits as sent' })
}

function factsCard(page: Page, { job, record }: JobModel): Html {
  const bytes = record && record.job.bytes + record.files.bytes
  const [first] = job.deliveries
  const facts: readonly (readonly [string, Html | string])[] = [
    ['Endpoint', job.endpoints.length > 1 ? job.endpoints.join(', ') : job.endpoint],
    ['Reducto’s status', visible(job.status ?? 'unknown')],
    [
      'Received',
      html`${clockTime(job.createdAt, page)} <span class="faint">${agoTime(job.createdAt, page)} ago</span>`,
    ],
    ['Changed', html`${clockTime(job.updatedAt, page)} <span class="faint">${agoTime(job.updatedAt, page)} ago</span>`],
    ...(job.crashes > 0 ? [['Crashes', `${job.crashes} while it ran`] as const] : []),
    [
      'Saved',
      record === null || bytes === null
        ? 'nothing'
        : `${formatBytes(bytes)} in ${record.files.count + 1} ${record.files.count === 0 ? 'file' : 'files'}`,
    ],
    [
      'svix-id',
      first
        ? html`<a class="id" href="${to(page, ['deliveries', first.svixId])}">${visible(first.svixId)}</a>`
        : 'none: no delivery announced it',
    ],
  ]
  return card(
    'Facts',
    html`<dl class="facts">${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`,
  )
}

function commandsCard({ job, record, handlerPath }: JobModel): Html {
  const all = [
    commandText('jobs show', [job.jobId]),
    commandText('jobs retry', [job.jobId]),
    ...(record && handlerPath !== null ? [commandText('handle', [handlerPath, '--job', job.jobId])] : []),
  ]
  return card(
    'The same by command',
    html`<ul class="commands inside">${all.map((text) => html`<li>${copyable(text, 'Copy the command')}</li>`)}</ul>`,
  )
}
