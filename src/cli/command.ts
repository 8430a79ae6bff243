/** A command: gets its own arguments, returns its exit code. */
export type Command = (args: readonly string[]) => Promise<number>

/** The command line was not understood; the message says how it is meant. */
export class WrongUse extends Error {
  override readonly name = 'WrongUse'
}

/** What a table has under a name that a user gave; undefined also for names that every object has, as `constructor`. */
export function ownOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}
