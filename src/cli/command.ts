/** A command: gets its own arguments, returns its exit code. */
export type Command = (args: readonly string[]) => Promise<number>

/** The command line was not understood; the message says how it is meant. */
export class WrongUse extends Error {}
