import { nearest } from '../nearest.ts'
import { type CommandSpec, WrongUse } from './command.ts'
import { COMMANDS, type Entry } from './commands.ts'

/** A command that was called, what was given to it, and whether it was asked for help. */
export type Called = { readonly entry: Entry; readonly args: readonly string[] }

/**
 * The command that these words call: one word, or two. Without a word it is `serve`.
 * @throws WrongUse with the nearest name
 */
export function findCommand(argv: readonly string[]): Called {
  const [first = 'serve', second] = argv
  const name = ALIASES.get(first) ?? first
  const whole = COMMANDS.find(({ spec }) => spec.name === name)
  if (whole) return { entry: whole, args: argv.slice(1) }
  const group = groupOf(name)
  if (group.length === 0) throw new WrongUse(`there is no command ${first}${meant(nearest(first, firstWords()))}`)
  const part = group.find(({ spec }) => spec.name === `${name} ${second}`)
  if (part) return { entry: part, args: argv.slice(2) }
  const names = group.map(({ spec }) => spec.name.split(' ')[1]!)
  const near = second === undefined ? null : nearest(second, names)
  throw new WrongUse(`${name} takes one of ${names.join(', ')}${meant(near && `${name} ${near}`)}`)
}

/** Commands of two words, by the first. */
export function groupOf(name: string): readonly Entry[] {
  return COMMANDS.filter(({ spec }) => spec.name.startsWith(`${name} `))
}

export function firstWords(): readonly string[] {
  return [...new Set(COMMANDS.map(({ spec }: { spec: CommandSpec }) => spec.name.split(' ')[0]!))]
}

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
])

function meant(name: string | null): string {
  return name === null ? '' : `; did you mean ${name}?`
}
