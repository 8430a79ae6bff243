import { styleText } from 'node:util'
import type { Checked, Report } from '../../doctor/doctor.ts'
import type { Item, Status } from '../../doctor/finding.ts'
import { counted } from '../output.ts'
import { oneLine } from '../table.ts'

const MARKS: Readonly<Record<Status, string>> = { ok: '✓', warning: '!', problem: '✗', skipped: '-' }
const COLOURS = { ok: 'green', warning: 'yellow', problem: 'red', skipped: 'gray' } as const
const HEADINGS = { here: 'On this machine', outside: 'From outside' } as const

/** Columns where nobody says how many there are; wider lines are hard to read, narrower ones hold nothing. */
const DEFAULT_WIDTH = 80
const MIN_WIDTH = 50
const MAX_WIDTH = 100

/** What was found, and under each warning and problem what to do, on lines of `width` columns. */
export function describe({ checks }: Report, options: { readonly width?: number | undefined } = {}): string {
  const width = Math.min(Math.max(options.width ?? DEFAULT_WIDTH, MIN_WIDTH), MAX_WIDTH)
  const column = Math.max(...checks.map(({ name }) => name.length))
  const groups = (['here', 'outside'] as const).map((group) => {
    const own = checks.filter((check) => check.group === group)
    return `${styleText('bold', HEADINGS[group])}\n${own.map((check) => describeCheck(check, column, width)).join('')}`
  })
  return groups.join('\n')
}

function describeCheck({ name, items }: Checked, column: number, width: number): string {
  return items.map((item, index) => describeItem(item, index === 0 ? name : '', column, width)).join('')
}

function describeItem({ status, found, cure }: Item, name: string, column: number, width: number): string {
  const indent = ' '.repeat(column + 4)
  const room = width - indent.length
  const [first = '', ...rest] = wrapped(found, room)
  const lines = [`${mark(status)} ${name.padEnd(column)}  ${first}`, ...rest.map((line) => indent + line)]
  // Where nothing is wrong there is nothing to do.
  if (cure !== null && status !== 'ok') {
    const [start = '', ...more] = wrapped(cure, room - 2)
    lines.push(`${indent}→ ${start}`, ...more.map((line) => `${indent}  ${line}`))
  }
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}

function mark(status: Status): string {
  return styleText(COLOURS[status], MARKS[status])
}

/** Lines of at most `room` characters; a longer word, as a URL, has a line of its own. */
function wrapped(text: string, room: number): readonly string[] {
  const lines: string[] = []
  for (const word of oneLine(text).split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** `2 problems, 1 warning`, or that all is well. */
export function summary({ checks }: Report): string {
  const items = checks.flatMap((check) => check.items)
  const count = (status: Status) => items.filter((item) => item.status === status).length
  const [problems, warnings, skipped] = [count('problem'), count('warning'), count('skipped')]
  const rest = skipped > 0 ? ` ${counted(skipped, 'check')} could not be made, or nothing asks for it (-).` : ''
  if (problems + warnings === 0) return `No problem was found.${rest}`
  return `${counted(problems, 'problem')}, ${counted(warnings, 'warning')}.${rest}`
}
