import type { Column } from '../operations/columns.ts'
import { ago, cutTo, oneLine, table } from './table.ts'

/** Columns of a terminal that does not say how many it has. */
const USUAL_WIDTH = 80
const INDENT = '    '

/**
 * Rows in columns. `wide`: all columns, a line each, however long. Else what fits into a terminal: what is long stands below
 * its row, cut where a terminal ends.
 */
export function listText<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  {
    wide,
    terminal,
  }: { readonly wide: boolean; readonly terminal: { readonly columns?: number; readonly isTTY?: boolean } },
): string {
  const text = (column: Column<Row>, row: Row) => {
    const value = column.value(row)
    return oneLine('time' in value ? ago(value.time) : value.text)
  }
  const shown = wide ? columns : columns.filter(({ where }) => where === 'always')
  const headings = shown.map(({ heading }) => heading)
  const lines = table(
    headings,
    rows.map((row) => shown.map((column) => text(column, row))),
  ).split('\n')
  if (wide) return lines.join('\n')
  const below = columns.filter(({ where }) => where === 'below')
  const room = terminal.isTTY ? (terminal.columns ?? USUAL_WIDTH) : Number.POSITIVE_INFINITY
  const [heading = '', ...body] = lines
  const whole = rows.flatMap((row, index) => [
    cutTo(body[index] ?? '', room),
    ...below
      .map((column) => text(column, row))
      .filter((one) => one !== '')
      .map((one) => cutTo(INDENT + one, room)),
  ])
  return [heading, ...whole].map((line) => `${line}\n`).join('')
}
