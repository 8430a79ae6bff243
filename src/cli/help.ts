import type { CommandSpec, OptionSpec, Run } from './command.ts'
import { WrongUse } from './command.ts'
import { COMMANDS } from './commands.ts'
import { findCommand, groupOf } from './find.ts'
import { print } from './output.ts'
import { PROGRAM } from './program.ts'
import type { help } from './spec/service.ts'

/** Columns of a terminal that help is made for. */
const WIDTH = 80

/** `help [COMMAND]`. */
export const runHelp: Run<typeof help> = async ({ args, values }) => {
  if (values.markdown) return print((await import('./docs.ts')).commandsPage())
  return print(helpFor(args))
}

/** Help for these words: one command, a group of commands, or all. */
export function helpFor(words: readonly string[], program = PROGRAM): string {
  const [first] = words
  if (first === undefined) return overview(program)
  const group = groupOf(first)
  if (group.length > 0 && words.length === 1) return groupHelp(first, program)
  const { entry, args } = findCommand(words)
  if (args.length > 0) throw new WrongUse(`there is no command ${words.join(' ')}`)
  return commandHelp(entry.spec, program)
}

function overview(program: string): string {
  const rows = COMMANDS.map(({ spec }) => [`${spec.name}${argsOf(spec)}`, spec.does] as const)
  return `reducto-webhook-receiver: receives Reducto's webhooks from Svix, fetches and
saves every result, and loses none.

  ${program} COMMAND

${listed(rows)}
How one is used: ${program} COMMAND --help
Exit codes: 0 done, 1 found a problem, 2 wrong use, 78 wrong settings.
Settings come from the environment or .env: see .env.example.
`
}

function groupHelp(name: string, program: string): string {
  const rows = groupOf(name).map(({ spec }) => [`${spec.name}${argsOf(spec)}`, spec.does] as const)
  return `${program} ${name} COMMAND\n\n${listed(rows)}\nHow one is used: ${program} ${name} COMMAND --help\n`
}

/** How one command is used, with its options and examples. */
export function commandHelp(spec: CommandSpec, program = PROGRAM): string {
  const options = Object.entries(spec.options ?? {})
  const rows = [...options.map(([name, option]) => [call(name, option), option.does] as const), HELP_OPTION]
  const examples = spec.examples.map(([one, does]) => `  ${program} ${one}\n${does ? `      ${wrap(does, 6)}` : ''}`)
  return [
    `${program} ${spec.name}${argsOf(spec)}${options.length > 0 ? ' [OPTION…]' : ''}\n`,
    `${wrap(sentence(spec.does), 0)}${spec.more ? wrap(spec.more, 0) : ''}`,
    `Options:\n${listed(rows)}`,
    `Examples:\n${examples.join('')}`,
  ].join('\n')
}

const HELP_OPTION = ['-h, --help', 'shows this'] as const

/** What stands behind a command's name: `ID…`, `FILE`. */
export function argsOf({ takes = [0, 0], args = '' }: CommandSpec): string {
  if (takes[1] === 0) return ''
  if (args === args.toUpperCase()) return ` ${args}`
  const word = /svix-id/.test(args)
    ? 'SVIX_ID'
    : /job id/.test(args)
      ? 'ID'
      : /file/.test(args)
        ? 'FILE'
        : alternatives(args)
  const many = takes[1] === Number.POSITIVE_INFINITY ? `${word}…` : word
  return takes[0] === 0 ? ` [${many}]` : ` ${many}`
}

/** `bash or zsh` → `bash|zsh`. */
function alternatives(args: string): string {
  return args
    .replace(/^one of /, '')
    .split(/, | and | or /)
    .join('|')
}

/** `--since 2h`, with the choices where there are some. */
export function call(name: string, { takes, choices, many }: OptionSpec): string {
  if (takes === undefined) return `--${name}`
  const value = choices ? (choices.length > 5 ? 'KIND' : choices.join('|')) : valueName(name, takes)
  return `--${name} ${value}${many ? ' …' : ''}`
}

/** `takes` is a name already when it is in capitals: `JSON`, `FILE`. */
function valueName(name: string, takes: string): string {
  return /^[A-Z]+$/.test(takes) ? takes : (VALUE_NAMES[name] ?? name.toUpperCase())
}

const VALUE_NAMES: Readonly<Record<string, string>> = {
  ...{ since: 'TIME', until: 'TIME', timeout: 'TIME', limit: 'N', expect: 'N', port: 'N' },
  ...{ metadata: 'KEY=VALUE', to: 'URL', forward: 'URL', q: 'TEXT', error: 'TEXT', reason: 'TEXT', job: 'ID' },
}

/** Two columns within `WIDTH`: what is long on the left has a line of its own. */
function listed(rows: readonly (readonly [left: string, right: string])[]): string {
  const left = 26
  return rows
    .map(([name, does]) => {
      const text = wrap(does, left)
      return name.length + 4 > left ? `  ${name}\n${' '.repeat(left)}${text}` : `  ${name.padEnd(left - 2)}${text}`
    })
    .join('')
}

/** Lines of at most `WIDTH`, all but the first indented. */
function wrap(text: string, indent: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return `${[...lines, line].join(`\n${' '.repeat(indent)}`)}\n`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
