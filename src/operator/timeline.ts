import type { Attempt, DeliveryRow } from '../inbox/inbox.ts'
import { type Html, html, shown } from './html.ts'
import { type Icon, icon, type Tone } from './icons.ts'
import { type Page, to } from './page.ts'
import { causeText } from './state.ts'
import { clockText, clockTime, tookText } from './time.ts'

/** What somebody did with a job. */
export type DoneByPerson = { readonly at: number; readonly who: string; readonly what: string }

export type TimelineModel = {
  readonly deliveries: readonly DeliveryRow[]
  /** The latest first. */
  readonly attempts: readonly (Attempt & { readonly round?: number | null })[]
  readonly actions: readonly DoneByPerson[]
  readonly hasHandler: boolean
}

/** One thing that happened, or several that are alike. */
export type Entry = {
  readonly at: number
  readonly icon: Icon
  readonly tone: Tone
  readonly title: string
  readonly detail: string
  /** A line of its own: an error, an id. */
  readonly text: string | null
  /** The delivery that it was. */
  readonly svixId?: string
  /** Of several in a row: how many, and since when. */
  readonly times: number
  readonly since: number
  /** Entries with the same key in a row are one; null: never. */
  readonly key: string | null
}

/** Entries that a page shows; a job can be tried thousands of times. */
const MAX_ENTRIES = 100

/** What happened, the latest first. Equal failures in a row are one entry, but never across a round. */
export function timelineOf(model: TimelineModel): readonly Entry[] {
  const all = [
    ...model.attempts.map((attempt) => attemptEntry(attempt, model.hasHandler)),
    ...model.deliveries.flatMap(deliveryEntries),
    ...model.actions.map(actionEntry),
  ].sort((a, b) => b.at - a.at)
  const folded: Entry[] = []
  for (const entry of all) {
    const last = folded.at(-1)
    if (last && entry.key !== null && last.key === entry.key)
      folded[folded.length - 1] = { ...last, times: last.times + 1, since: entry.at }
    else folded.push(entry)
  }
  return folded
}

const ONCE = (at: number) => ({ at, since: at, times: 1, key: null })

function deliveryEntries(delivery: DeliveryRow): Entry[] {
  const { svixId, endpoint, status, receivedAt, lastAt, arrivals } = delivery
  const first: Entry = {
    ...ONCE(receivedAt),
    icon: 'delivery',
    tone: 'wait',
    title: 'Delivery',
    detail: `${shown(status ?? '', 40)} · ${endpoint}`,
    text: svixId,
    svixId,
  }
  if (arrivals <= 1) return [first]
  const again: Entry = {
    ...ONCE(lastAt),
    icon: 'delivery',
    tone: 'wait',
    title: 'Arrived again',
    detail: `${arrivals} times in all; repeats fetch nothing twice`,
    text: null,
  }
  return [again, first]
}

const DONE: Readonly<Record<string, string>> = {
  retry: 'Queued again',
  replay: 'Handed over again',
  erase: 'Erased',
  show: 'Looked at the content',
  expect: 'Registered',
}

function actionEntry({ at, who, what }: DoneByPerson): Entry {
  return {
    ...ONCE(at),
    icon: 'person',
    tone: 'accent',
    title: DONE[what] ?? what.replaceAll('_', ' '),
    detail: `by ${shown(who, 80)}`,
    text: null,
  }
}

const TASKS: Readonly<Record<Attempt['task'], string>> = {
  fetch: 'Fetch',
  hand_over: 'Hand over',
  side_files: 'Missing files',
}

function attemptEntry(attempt: TimelineModel['attempts'][number], hasHandler: boolean): Entry {
  const { startedAt, ms, task, outcome, reason, savedStatus, round = null } = attempt
  const good = { icon: 'done', tone: 'ok' } as const
  const common = { ...ONCE(startedAt + ms), detail: `took ${tookText(ms)}` }
  const text = reason && shown(`${causeText(reason.code)}: ${reason.message}`)
  switch (outcome) {
    case 'done':
      return { ...common, ...good, title: doneTitle(task, hasHandler), text: failedAtReducto(savedStatus) }
    case 'saved':
      return { ...common, ...good, title: 'Fetched and saved', text: failedAtReducto(savedStatus) }
    case 'dead':
      return { ...common, icon: 'dead', tone: 'bad', title: `${TASKS[task]}: given up`, text }
    case 'interrupted':
      return { ...common, icon: 'waiting', tone: 'wait', title: `${TASKS[task]} interrupted by a stop`, text: null }
    case 'unfinished':
      return { ...common, icon: 'waiting', tone: 'wait', title: 'Not finished at Reducto yet', text, key: foldKey() }
    case 'wait':
      return { ...common, icon: 'waiting', tone: 'wait', title: `${TASKS[task]} put off`, text, key: foldKey() }
    default:
      return { ...common, icon: 'retrying', tone: 'warn', title: `${TASKS[task]} failed`, text, key: foldKey() }
  }

  function foldKey(): string {
    return JSON.stringify([round, task, outcome, reason?.code, reason?.message])
  }
}

function doneTitle(task: Attempt['task'], hasHandler: boolean): string {
  if (task === 'side_files') return 'Missing files: tried'
  if (task === 'hand_over') return 'Taken by your handler'
  return hasHandler ? 'Fetched, saved, taken by your handler' : 'Fetched and saved'
}

function failedAtReducto(status: string | null): string | null {
  return status === null || status === 'Completed' ? null : `Reducto says: ${shown(status, 40)}`
}

/** The entries as a list. */
export function timeline(page: Page, entries: readonly Entry[]): Html {
  if (entries.length === 0) return html`<p class="empty">Nothing has happened yet.</p>`
  const more = entries.length - MAX_ENTRIES
  return html`<ol class="timeline">${entries.slice(0, MAX_ENTRIES).map((entry) => item(page, entry))}</ol>${more > 0 && html`<p class="empty">${more} earlier entries.</p>`}`
}

function item(page: Page, { at, since, times, icon: shape, tone, title, detail, text, svixId }: Entry): Html {
  const several = times > 1 ? `${times} times, ${clockText(since, page)} – ${clockText(at, page)}; the last ` : ''
  const below =
    svixId === undefined
      ? text !== null && html`<span class="second">${shown(text)}</span>`
      : html`<a class="second id" href="${to(page, ['deliveries', svixId])}">${shown(svixId)}</a>`
  return html`<li>${icon(shape, tone)}<div><b>${title}</b> <span class="muted">${several}${detail}</span>${below}</div>${clockTime(at, page)}</li>`
}
