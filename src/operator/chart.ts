import { type Html, html } from './html.ts'

/** A kind of thing that is counted: the class of its bars, and its name. */
export type Series = { readonly name: string; readonly tone: 'bar' | 'bar-2' | 'warn' | 'bad' }

/** `counts`: of each series, in their order. `label`: the time of the column, for the mouse. */
export type Column = { readonly label: string; readonly counts: readonly number[] }

export type ChartModel = {
  readonly title: string
  readonly series: readonly Series[]
  readonly columns: readonly Column[]
  readonly from: string
  readonly to: string
}

const [WIDTH, HEIGHT] = [600, 94]
/** Room above the highest bar, so that the top line is seen. */
const TOP = 2

/** Bars by time, stacked, as SVG that is stretched; what it says is a sentence too. */
export function chart({ title, series, columns, from, to }: ChartModel): Html {
  const total = (column: Column) => column.counts.reduce((sum, count) => sum + count, 0)
  const highest = niceTop(Math.max(...columns.map(total), 0))
  const y = (count: number) => round(HEIGHT - (count / highest) * (HEIGHT - TOP))
  const step = WIDTH / Math.max(columns.length, 1)
  const sums = series.map(
    ({ name }, at) => `${columns.reduce((sum, { counts }) => sum + (counts[at] ?? 0), 0)} ${name}`,
  )

  const bars = columns.map((column, index) => {
    const x = round(index * step)
    let below = 0
    const parts = column.counts.map((count, at) => {
      if (count === 0) return null
      const [bottom, top] = [y(below), y(below + count)]
      below += count
      return html`<rect class="fill-${series[at]!.tone}" x="${x}" y="${top}" width="${round(step - step / 12)}" height="${round(bottom - top)}"/>`
    })
    const told = series.map(({ name }, at) => `${column.counts[at] ?? 0} ${name}`).join(', ')
    return html`<g class="column"><title>${column.label}: ${told}</title><rect class="hover" x="${x}" y="0" width="${round(step)}" height="${HEIGHT}"/>${parts}</g>`
  })
  return html`<section class="card chart"><div class="head"><h2>${title}</h2><ul class="legend">${series.map(
    ({ name, tone }) => html`<li><span class="swatch swatch-${tone}"></span>${name}</li>`,
  )}</ul></div>
<div class="plot"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title}, ${from} to ${to}: ${sums.join(', ')}"><path class="grid" d="M0 ${y(highest)}H${WIDTH}M0 ${y(highest / 2)}H${WIDTH}"/>${bars}<path class="axis" d="M0 ${HEIGHT}H${WIDTH}"/></svg>
<ol class="scale" aria-hidden="true"><li>${highest}</li><li>${highest % 2 === 0 ? highest / 2 : ''}</li><li>0</li></ol></div>
<p class="ends" aria-hidden="true"><span>${from}</span><span>${to}</span></p></section>`
}

/** The next number that reads well, at least 2. */
function niceTop(highest: number): number {
  if (highest <= 2) return 2
  const unit = 10 ** Math.floor(Math.log10(highest))
  const found = [1, 2, 3, 4, 6, 8, 10].find((times) => times * unit >= highest)!
  return found * unit
}

function round(number: number): number {
  return Math.round(number * 100) / 100
}

/** How much of a time is left, as a bar; its tone says when it gets short. */
export function timeBar(share: number, label: string): Html {
  const left = Math.min(Math.max(share, 0), 1)
  const tone = left > 0.4 ? 'bar' : left > 0.15 ? 'warn' : 'bad'
  return html`<svg class="time-bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="${label}"><rect class="track" width="100" height="6"/><rect class="fill-${tone}" width="${round(left * 100)}" height="6"/></svg>`
}
