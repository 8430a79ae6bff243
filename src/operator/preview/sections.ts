import { type Html, html, shown } from '../html.ts'
import { type Page, to } from '../page.ts'
import type { Block, Part, Section, Spot } from './read.ts'
import { tableOf, tableRows } from './table.ts'
import { tree } from './tree.ts'

/** A result for people to read: each value with the place on the page that it was read from. */
export function sections(page: Page, jobId: string, all: readonly Section[]): Html {
  return html`${all.map((section) => one(page, jobId, section, all.length > 1))}`
}

function one(page: Page, jobId: string, section: Section, isOneOfMany: boolean): Html {
  const band = (title: string) => isOneOfMany && html`<h3 class="band">${title}</h3>`
  switch (section.is) {
    case 'fields':
      return html`${band('Fields')}${fields(section)}`
    case 'parts':
      return html`${band('Parts')}${parts(section)}`
    case 'chunks':
      return html`${band('Text')}${chunks(page, jobId, section)}`
    case 'classes':
      return html`${band('Classes')}${classes(section)}`
    case 'form':
      return html`${band('Form')}${form(section)}`
    case 'tree':
      return tree(section.value)
    case 'text':
      return html`<p class="inside said-text">${shown(section.text, 10_000)}</p>`
  }
}

function fields({ rows, more }: Section & { is: 'fields' }): Html {
  if (rows.length === 0) return html`<p class="empty inside">No fields were found.</p>`
  return html`<table class="table"><thead><tr><th>Field</th><th>Value</th><th class="number tight">Read from</th></tr></thead><tbody>${rows.map(
    ({ path, text, spots }) =>
      html`<tr><td class="mono muted">${shown(path, 200)}</td><td class="value">${shown(text, 2_000)}</td><td class="number tight">${spots[0] ? spot(spots[0]) : html`<span class="faint">–</span>`}${spots.length > 1 && html` <span class="faint">+${spots.length - 1}</span>`}</td></tr>`,
  )}</tbody></table>${rest(more, 'fields')}`
}

/** The page as a small sheet with the place on it. */
function spot({ page, box }: Spot): Html {
  const [width, height] = [17, 22]
  const round = (number: number) => Math.round(number * 100) / 100
  const mark = box && {
    x: round(box.left * width),
    y: round(box.top * height),
    // A line of text would be thinner than what can be seen.
    width: round(Math.max(Math.min(box.width, 1 - box.left) * width, 2)),
    height: round(Math.max(Math.min(box.height, 1 - box.top) * height, 1.5)),
  }
  const told = box
    ? `Page ${page}, ${Math.round(box.top * 100)} % down, ${Math.round(box.left * 100)} % across`
    : `Page ${page}`
  return html`<span class="spot" title="${told}"><span>p. ${page}</span><svg viewBox="0 0 ${width} ${height}" aria-hidden="true"><rect class="sheet-edge" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="1"/>${mark && html`<rect class="box" x="${mark.x}" y="${mark.y}" width="${mark.width}" height="${mark.height}"/>`}</svg></span>`
}

function parts({ parts: all, pages }: Section & { is: 'parts' }): Html {
  if (all.length === 0) return html`<p class="empty inside">No parts were found.</p>`
  return html`<table class="table"><thead><tr><th>Part</th><th>Pages</th><th><span class="wide">Of ${pages} pages</span></th></tr></thead><tbody>${all.map(
    (part) =>
      html`<tr><td>${'— '.repeat(part.depth)}<b>${shown(part.name, 200)}</b>${part.isUnsure && html` <span class="badge warn">low confidence</span>`}</td><td class="muted">${pagesText(part.pages)}</td><td>${strip(part, pages)}</td></tr>`,
  )}</tbody></table>`
}

/** `pages 1–2, 5`. */
function pagesText(pages: readonly number[]): string {
  const runs: [number, number][] = []
  for (const page of pages.toSorted((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last && page <= last[1] + 1) last[1] = page
    else runs.push([page, page])
  }
  const text = runs.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(', ')
  if (text === '') return 'no pages'
  return `${pages.length === 1 ? 'page' : 'pages'} ${shown(text, 100)}`
}

/** More pages than this are not told apart. */
const MAX_STRIP_PAGES = 2_000

function strip({ pages }: Part, all: number): Html | null {
  if (all === 0 || all > MAX_STRIP_PAGES) return null
  const step = 240 / all
  const gap = Math.min(step / 8, 2)
  return html`<svg class="strip" viewBox="0 0 240 5" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="240" height="5"/>${pages.map(
    (page) => html`<rect class="fill-bar" x="${(page - 1) * step + gap / 2}" width="${step - gap}" height="5"/>`,
  )}</svg>`
}

function chunks(page: Page, jobId: string, { chunks: all, isMore }: Section & { is: 'chunks' }): Html {
  if (all.length === 0) return html`<p class="empty inside">The document has no text.</p>`
  return html`${all.map((blocks) => html`<div class="blocks">${blocks.map((block) => blockOf(page, jobId, block))}</div>`)}${isMore && html`<p class="empty inside">This is the beginning: the files have all of it.</p>`}`
}

function blockOf(page: Page, jobId: string, { type, text, spot: place, image }: Block): Html {
  const rows = tableRows(text)
  const look = /title/i.test(type) ? ' title' : /header/i.test(type) ? ' section' : ''
  return html`<div class="block${look}"><p class="kind"><span>${shown(type, 40)}</span>${place && spot(place)}</p>${rows ? tableOf(rows) : html`<p class="said-text">${shown(text, 20_000)}</p>`}${image !== null && html`<img src="${to(page, ['jobs', jobId, 'pictures', ...image.split('/')])}" alt="" loading="lazy">`}</div>`
}

function classes({ classes: all }: Section & { is: 'classes' }): Html {
  return html`<table class="table"><thead><tr><th>Class</th><th class="number">Confidence</th><th><span class="wide"></span></th></tr></thead><tbody>${all.map(
    ({ name, confidence, isChosen }) =>
      html`<tr><td>${isChosen ? html`<b>${shown(name, 200)}</b> <span class="badge">chosen</span>` : shown(name, 200)}</td><td class="number">${confidence === null ? '–' : `${Math.round(confidence * 100)} %`}</td><td>${confidence !== null && bar(confidence)}</td></tr>`,
  )}</tbody></table>`
}

function bar(share: number): Html {
  const width = Math.round(Math.min(Math.max(share, 0), 1) * 240)
  return html`<svg class="strip" viewBox="0 0 240 5" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="240" height="5"/><rect class="fill-bar" width="${width}" height="5"/></svg>`
}

function form({ rows, more }: Section & { is: 'form' }): Html {
  if (rows.length === 0) return html`<p class="empty inside">The form has no fields.</p>`
  return html`<table class="table"><thead><tr><th>Form field</th><th>Value</th><th class="tight">Kind</th><th class="number tight">Place</th></tr></thead><tbody>${rows.map(
    ({ name, text, type, isLeftOpen, spot: place }) =>
      html`<tr><td>${shown(name, 200)}</td><td class="value">${shown(text, 1_000)}${isLeftOpen && html` <span class="tag">left open</span>`}</td><td class="muted">${shown(type, 40)}</td><td class="number">${place && spot(place)}</td></tr>`,
  )}</tbody></table>${rest(more, 'fields')}`
}

function rest(more: number, what: string): Html | false {
  return more > 0 && html`<p class="empty inside">${more} more ${what}: the file has all of them.</p>`
}
