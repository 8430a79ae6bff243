import { stripVTControlCharacters, styleText } from 'node:util'

/** Rows under a heading, in columns as wide as they need. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [heading, ...rows].map((row) => row.map(oneLine))
  const widths = heading.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const lines = cells.map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  '),
  )
  const [first = '', ...rest] = lines
  return [styleText('bold', first), ...rest].map((line) => `${line.trimEnd()}\n`).join('')
}

/** A line that ends where the room does. */
export function cutTo(line: string, room: number): string {
  return line.length > room ? `${line.slice(0, room - 1)}…` : line
}

/** Reasons hold what others wrote: nothing of it may steer the terminal. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return stripVTControlCharacters(text).replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ')
}

/** How long ago, in the largest unit that fits: `3 min ago`. */
export function ago(time: number, now = Date.now()): string {
  const seconds = Math.round((now - time) / 1000)
  const ahead = seconds < 0
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ] as const
  const size = Math.abs(seconds)
  const [unit, length] = units.find(([, least]) => size >= least) ?? ['s', 1]
  const amount = `${Math.floor(size / length)} ${unit}`
  return ahead ? `in ${amount}` : `${amount} ago`
}
