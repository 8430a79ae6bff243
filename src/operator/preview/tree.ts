import { isLosslessNumber, stringifyLossless } from '../../lossless-json.ts'
import { type Html, html, shown } from '../html.ts'

/** JSON of any shape as a tree that opens and closes without a script. */

const MAX_NODES = 2_000
const MAX_TREE_DEPTH = 12
const MAX_LEAF_CHARS = 2_000

export function tree(value: unknown): Html {
  let left = MAX_NODES

  function node(name: string | null, inner: unknown, depth: number): Html | null {
    if (left-- <= 0) return null
    const label = name === null ? null : html`<span class="key">${shown(name, 100)}: </span>`
    if (typeof inner !== 'object' || inner === null || isLosslessNumber(inner))
      return html`<div class="leaf">${label}${leaf(inner)}</div>`
    const members = Object.entries(inner)
    const size = Array.isArray(inner) ? `[${members.length}]` : `{${members.length}}`
    if (members.length === 0 || depth >= MAX_TREE_DEPTH)
      return html`<div class="leaf">${label}<span class="faint">${size}</span></div>`
    const isOpen = depth < 3 && members.length <= 40
    return html`<details${isOpen && html` open`}><summary>${label}<span class="faint">${size}</span></summary>${members.slice(0, left + 1).map(([key, member]) => node(key, member, depth + 1))}</details>`
  }

  const root = node(null, value, 0)
  return html`<div class="tree">${root}${left < 0 && html`<p class="faint">Only the first ${MAX_NODES} values: the file has all of them.</p>`}</div>`
}

function leaf(value: unknown): string {
  return typeof value === 'string' ? `"${shown(value, MAX_LEAF_CHARS)}"` : stringifyLossless(value ?? null)
}
