import { type DefaultTreeAdapterTypes, parseFragment } from 'parse5'
import { type Html, html, shown } from '../html.ts'

/** Reducto gives tables as HTML. Only the text of their cells is taken, into a table of ours. */

const MAX_ROWS = 200
const MAX_CELLS = 60
const MAX_CELL_CHARS = 500
/** A cell that covers more is a mistake, or worse. */
const MAX_SPAN = 60

type Node = DefaultTreeAdapterTypes.Node
type Cell = { readonly text: string; readonly isHead: boolean; readonly across: number; readonly down: number }

/** The rows of the tables in `text`; null when there is none in it. */
export function tableRows(text: string): readonly (readonly Cell[])[] | null {
  if (!/<table[\s>]/i.test(text)) return null
  const rows: Cell[][] = []
  for (const node of nodesOf(parseFragment(text))) {
    const { nodeName } = node
    if (nodeName === 'tr') {
      if (rows.length === MAX_ROWS) break
      rows.push([])
    } else if (nodeName === 'td' || nodeName === 'th') {
      const row = rows.at(-1)
      if (row && row.length < MAX_CELLS) row.push(cellOf(node))
    }
  }
  return rows.length > 0 ? rows : null
}

/** All nodes in the order of the text, without recursion: documents can be nested as deep as they are long. */
function* nodesOf(root: Node): Generator<Node> {
  const open: Node[] = [root]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node
    const children = 'childNodes' in node ? node.childNodes : []
    for (let at = children.length - 1; at >= 0; at--) open.push(children[at]!)
  }
}

function cellOf(cell: Node): Cell {
  let text = ''
  for (const node of nodesOf(cell)) {
    if (text.length > MAX_CELL_CHARS) break
    if (node.nodeName === '#text') text += (node as DefaultTreeAdapterTypes.TextNode).value
    else if (node.nodeName === 'br' || node.nodeName === 'p') text += '\n'
  }
  const span = (name: string) => {
    const given = 'attrs' in cell ? Number(cell.attrs.find((one) => one.name === name)?.value ?? 1) : 1
    return Number.isInteger(given) && given >= 1 ? Math.min(given, MAX_SPAN) : 1
  }
  return { text: text.trim(), isHead: cell.nodeName === 'th', across: span('colspan'), down: span('rowspan') }
}

export function tableOf(rows: readonly (readonly Cell[])[]): Html {
  const cell = ({ text, isHead, across, down }: Cell) => {
    const spans = html`${across > 1 && html` colspan="${across}"`}${down > 1 && html` rowspan="${down}"`}`
    const inside = shown(text, MAX_CELL_CHARS)
    return isHead ? html`<th${spans}>${inside}</th>` : html`<td${spans}>${inside}</td>`
  }
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table class="sheet"><tbody>${rows.map((row) => html`<tr>${row.map(cell)}</tr>`)}</tbody></table></div>${rows.length === MAX_ROWS && html`<p class="faint">The first ${MAX_ROWS} rows.</p>`}`
}
