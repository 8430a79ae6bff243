import { parseArgs } from 'node:util'
import { nearest } from '../nearest.ts'
import { type CommandSpec, type Options, type Values, WrongUse } from './command.ts'

/**
 * What was given to a command, as its spec says. node's parser splits it; which options there are, what they take and how
 * many arguments are fine is in the spec.
 * @throws WrongUse
 */
export function parseFor<O extends Options>(
  spec: CommandSpec<O>,
  args: readonly string[],
): { readonly args: readonly string[]; readonly values: Values<O> } {
  const options: Options = spec.options ?? {}
  const parsed = split(options, args)
  const { positionals, tokens } = parsed
  const values: Record<string, unknown> = {}
  for (const [name, option] of Object.entries(options))
    values[name] = option.many ? [] : (option.default ?? startOf(option))
  for (const token of tokens) if (token.kind === 'option') take(options, values, token)
  checkCount(spec, positionals)
  return { args: positionals, values: values as Values<O> }
}

type Token = { readonly name: string; readonly rawName: string; readonly value?: string | undefined }

/** Not strict: its own messages name neither the nearest option nor what is accepted. */
function split(options: Options, args: readonly string[]) {
  const config = Object.entries(options).map(([name, { takes }]) => [
    name,
    { type: takes === undefined ? 'boolean' : 'string', multiple: true } as const,
  ])
  return parseArgs({
    args: [...args],
    options: Object.fromEntries(config),
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
}

function startOf({ takes }: Options[string]): undefined | false {
  return takes === undefined ? false : undefined
}

function take(options: Options, values: Record<string, unknown>, { name, rawName, value }: Token): void {
  const option = Object.hasOwn(options, name) ? options[name] : undefined
  if (!option) {
    const near = rawName.startsWith('--') ? nearest(name, Object.keys(options)) : null
    throw new WrongUse(`Unknown option '${rawName}'${near ? `; did you mean --${near}?` : ''}`)
  }
  if (option.takes === undefined) {
    if (value !== undefined) throw new WrongUse(`--${name} takes no value`)
    values[name] = true
    return
  }
  // `--to --json` is a value that was forgotten.
  if (value === undefined || (value.startsWith('--') && value.length > 2))
    throw new WrongUse(`--${name} takes ${option.takes}`)
  if (option.choices && !option.choices.includes(value)) {
    const near = nearest(value, option.choices)
    throw new WrongUse(`--${name} takes one of ${option.choices.join(', ')}${near ? `; did you mean ${near}?` : ''}`)
  }
  values[name] = option.many ? [...(values[name] as string[]), value] : value
}

function checkCount({ name, args, takes = [0, 0] }: CommandSpec, given: readonly string[]): void {
  const [min, max] = takes
  if (given.length >= min && given.length <= max) return
  const what = max === 0 ? 'no arguments' : min === 1 && max === 1 ? `one argument, ${args}` : args
  throw new WrongUse(`${name} takes ${what}`)
}
