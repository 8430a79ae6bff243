import { stringifyLossless } from '../lossless-json.ts'
import { type Html, html, shown } from './html.ts'

/** Pairs that a row shows; how many more there are is said. */
const PAIRS_IN_ROW = 4
/** Characters of a value in a row. */
const MAX_IN_ROW = 24
/** Pairs that a job's own page shows. */
const MAX_PAIRS = 100

/** Metadata as names and texts: a text as it is, anything else as its JSON, with all digits. */
function pairsOf(metadata: unknown): readonly (readonly [name: string, text: string])[] {
  if (metadata === null || metadata === undefined) return []
  if (typeof metadata !== 'object' || Array.isArray(metadata)) return [['', textOf(metadata)]]
  return Object.entries(metadata).map(([name, value]) => [name, textOf(value)])
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : stringifyLossless(value)
}

/** On one line, the first few. */
export function pairsLine(metadata: unknown): Html {
  const pairs = pairsOf(metadata)
  const more = pairs.length - PAIRS_IN_ROW
  return html`<span class="pairs">${pairs
    .slice(0, PAIRS_IN_ROW)
    .map(
      ([name, text]) =>
        html`<span class="pair" title="${shown(`${name} ${text}`)}"><span class="key">${shown(name, MAX_IN_ROW)} </span>${shown(text, MAX_IN_ROW)}</span> `,
    )}${more > 0 && html`<span class="faint">+${more}</span>`}</span>`
}

/** All of them, one below the other. */
export function pairsList(metadata: unknown): Html {
  const pairs = pairsOf(metadata)
  if (pairs.length === 0) return html`<p class="empty">None was sent with the job.</p>`
  const more = pairs.length - MAX_PAIRS
  return html`<dl class="facts">${pairs
    .slice(0, MAX_PAIRS)
    .map(
      ([name, text]) => html`<dt>${shown(name)}</dt><dd>${shown(text, 2_000)}</dd>`,
    )}</dl>${more > 0 && html`<p class="empty">${more} more.</p>`}`
}
