/** The command line was not understood; the message says how it is meant. */
export class WrongUse extends Error {
  override readonly name = 'WrongUse'
}

/** An option: `takes` names its value, for people; without one it is a switch. */
export type OptionSpec = {
  readonly takes?: string
  readonly choices?: readonly string[]
  /** May be given several times. */
  readonly many?: true
  readonly default?: string
  readonly does: string
}

export type Options = Readonly<Record<string, OptionSpec>>

/**
 * A command, as data: help, completion, docs/commands.md and what is accepted are made of it. `name` is one word or two;
 * `args` what it takes beside options, and `takes` how many of those.
 */
export type CommandSpec<O extends Options = Options> = {
  readonly name: string
  readonly args?: string
  readonly takes?: readonly [min: number, max: number]
  readonly does: string
  readonly more?: string
  readonly options?: O
  readonly examples: readonly (readonly [call: string, does: string])[]
}

export type Values<O extends Options> = {
  readonly [K in keyof O]: O[K] extends { readonly many: true }
    ? readonly string[]
    : O[K] extends { readonly takes: string }
      ? O[K] extends { readonly default: string }
        ? string
        : string | undefined
      : boolean
}

/** What was given to a command. */
type Given<S extends CommandSpec> = {
  readonly args: readonly string[]
  readonly values: S extends CommandSpec<infer O> ? Values<O> : never
}

/** Runs a command; returns its exit code. */
export type Run<S extends CommandSpec> = (given: Given<S>) => Promise<number>

/** A spec with its options' own types. */
export function command<const O extends Options>(spec: CommandSpec<O>): CommandSpec<O> {
  return spec
}

/** What a table has under a name that a user gave; undefined also for names that every object has, as `constructor`. */
export function ownOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}
