import { Idiomorph } from 'idiomorph'
import { all, parse, selected } from './shared.js'

/** Refreshing: the page is asked for again, and what differs is changed in place. */

let isLive = true
/** @type {() => void} */
let afterwards = () => {}
let timer = 0
let failures = 0
/** When the service answered last. */
let shownAt = new Date()
/** The pages that are asked for less often while the service does not answer. */
const MAX_PAUSE_SECONDS = 60

/** Begins to refresh; `then` is called after each time. @param {() => void} then */
export function startLive(then) {
  afterwards = then
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void refresh()
  })
  plan()
}

/** Turns it on or off; says which. */
export function toggleLive() {
  isLive = !isLive
  if (isLive) void refresh()
  return isLive
}

export function isLiveNow() {
  return isLive
}

/** Else “All is well” would stand there while nothing answers. @param {boolean} isStale */
function tellStale(isStale) {
  const told = document.getElementById('stale')
  if (!isStale) return told?.remove()
  if (told) return
  const notice = document.createElement('p')
  notice.id = 'stale'
  notice.className = 'notice refused'
  notice.setAttribute('role', 'alert')
  notice.textContent = `The service does not answer. This is how it stood at ${shownAt.toLocaleTimeString()}.`
  document.querySelector('main')?.before(notice)
}

function plan() {
  clearTimeout(timer)
  const seconds = Number(document.querySelector('main')?.dataset.live ?? 0)
  if (seconds > 0) timer = setTimeout(refresh, Math.min(seconds * 2 ** failures, MAX_PAUSE_SECONDS) * 1_000)
}

/** Somebody reads, types or chooses: then nothing may move. */
function isBusy() {
  const at = document.activeElement
  const types = at instanceof HTMLInputElement || at instanceof HTMLSelectElement || at instanceof HTMLTextAreaElement
  const isOpen = document.querySelector('dialog[open], details.copies[open]') !== null
  const marked = String(getSelection() ?? '') !== ''
  return document.hidden || types || isOpen || marked || selected().length > 0
}

async function refresh() {
  if (isLive && !isBusy()) {
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' }, redirect: 'manual' })
      if (answer.type === 'opaqueredirect') return location.reload()
      if (!answer.ok) throw new Error(String(answer.status))
      const next = parse(await answer.text())
      // A proxy answers for a service that is gone with a page of its own.
      if (!next.querySelector('main')) throw new Error('no page of ours')
      failures = 0
      shownAt = new Date()
      if (isLive && !isBusy()) show(next)
      tellStale(false)
    } catch {
      failures = Math.min(failures + 1, 6)
      tellStale(true)
    }
  }
  plan()
}

/** @param {Document} next */
function show(next) {
  const [main, fresh] = [document.querySelector('main'), next.querySelector('main')]
  if (!main || !fresh) return
  const newer = pin(main, fresh)
  const open = new Set(all('details[open]', main).map(pathOf))
  Idiomorph.morph(main, fresh, { morphStyle: 'outerHTML', ignoreActiveValue: true })
  for (const one of all('details')) if (open.has(pathOf(one))) /** @type {HTMLDetailsElement} */ (one).open = true
  for (const name of ['nav .badge', 'nav']) {
    const [was, is] = [document.querySelector(`.top ${name}`), next.querySelector(`.top ${name}`)]
    if (was && is && was.textContent !== is.textContent) was.replaceWith(is)
  }
  if (newer > 0) tellNewer(newer)
  afterwards()
}

/** Where an element is, so that an open one stays open. @param {Element} element */
function pathOf(element) {
  const path = []
  for (let at = /** @type {Element | null} */ (element); at && at.localName !== 'main'; at = at.parentElement)
    path.push([...(at.parentElement?.children ?? [])].indexOf(at))
  return path.join('/')
}

/** Rows never move under the mouse: newer ones are counted, and shown when they are asked for. @param {Element} main @param {Element} fresh */
function pin(main, fresh) {
  const [old, next] = [main.querySelector('table.rows tbody'), fresh.querySelector('table.rows tbody')]
  const first = old?.firstElementChild?.id
  if (!old || !next || !first) return 0
  const rows = [...next.children]
  const at = rows.findIndex(({ id }) => id === first)
  if (at <= 0) return 0
  for (const row of rows.slice(0, at)) row.remove()
  const there = new Set([...next.children].map(({ id }) => id))
  for (const row of [...old.children]) if (!there.has(row.id)) next.append(row.cloneNode(true))
  return at
}

/** @param {number} number */
function tellNewer(number) {
  const rows = document.querySelector('table.rows')?.closest('form, .card')
  if (!rows) return
  document.querySelector('.pill')?.remove()
  const pill = document.createElement('a')
  pill.className = 'pill'
  pill.href = location.href
  pill.textContent = `${number} newer`
  rows.before(pill)
}
