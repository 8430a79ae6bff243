import { hasReaderLeft, onReaderLeft } from './cli/broken-pipe.ts'
import { WrongUse } from './cli/command.ts'
import { type Called, findCommand, groupOf } from './cli/find.ts'
import { commandHelp, helpFor } from './cli/help.ts'
import { parseFor } from './cli/parse.ts'
import { PROGRAM } from './cli/program.ts'
import { DatabaseRefused } from './inbox/inbox.ts'
import { SettingsError } from './settings/config.ts'

/** Exit codes that scripts rely on. */
const EXIT = { done: 0, problem: 1, wrongUse: 2, wrongSettings: 78 } as const

/**
 * The service's log has its own way out, and a service does not end because nobody reads it. What was submitted must be
 * registered first.
 */
const OUTLIVE_READERS: ReadonlySet<string> = new Set(['serve', 'submit'])

async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv) && groupOf(argv[0] ?? '').length > 0 && /^-|^$/.test(argv[1] ?? ''))
    return help(argv.slice(0, 1))
  const called = findCommand(argv)
  if (called.entry.spec.name === 'help' && argv[0] !== 'help') return help([])
  if (asksForHelp(called.args)) return say(commandHelp(called.entry.spec))
  return call(called)
}

async function call({ entry, args }: Called): Promise<number> {
  const given = parseFor(entry.spec, args)
  if (!OUTLIVE_READERS.has(entry.spec.name)) onReaderLeft(() => process.exit(EXIT.done))
  const command = await entry.load()
  return command(given as Parameters<typeof command>[0])
}

function help(words: readonly string[]): number {
  return say(helpFor(words))
}

/** At any place, also behind a subcommand; what follows `--` are no options. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')
}

function say(text: string): number {
  onReaderLeft(() => process.exit(EXIT.done))
  process.stdout.write(text)
  return EXIT.done
}

function reportError(error: unknown): number {
  const printError = (...lines: string[]) => process.stderr.write(`${lines.join('\n')}\n`)
  if (error instanceof SettingsError) {
    printError('Invalid settings:', ...error.problems.map((problem) => `  ${problem}`), 'See .env.example.')
    return EXIT.wrongSettings
  }
  if (error instanceof DatabaseRefused) {
    printError(error.message)
    return EXIT.wrongSettings
  }
  if (error instanceof WrongUse) {
    printError(error.message, `Try: ${PROGRAM} help`)
    return EXIT.wrongUse
  }
  printError((error as Error).message)
  return EXIT.problem
}

const code = await run(process.argv.slice(2)).catch(reportError)
process.exit(hasReaderLeft() ? EXIT.done : code)
