import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { type Command, ownOf, WrongUse } from './cli/command.ts'
import { DatabaseRefused } from './inbox/inbox.ts'
import { SettingsError } from './settings/config.ts'

/** Exit codes that scripts rely on. */
const EXIT = { done: 0, problem: 1, wrongUse: 2, wrongSettings: 78 } as const

/**
 * How to call this program: `receiver` in the container, elsewhere the package's own name. If that is not installed,
 * npx would ask the registry for it, where a stranger may own the name: it must not run what it finds there.
 */
const NAME = basename(process.argv[1] ?? '') === 'receiver' ? 'receiver' : 'npx --no-install reducto-webhook-receiver'

const USAGE: readonly (readonly [call: string, does: string])[] = [
  ['serve', 'the service (default)'],
  ['demo [--once]', 'the service with a simulated Svix and Reducto; no account needed'],
  ['handle FILE [--sample KIND | --job ID]', 'runs a handler once, on a sample or a saved result'],
  ['jobs list', 'the jobs, newest first [--limit N] [--cursor C]'],
  ['jobs show ID', 'one job: deliveries, attempts, result'],
  ['jobs retry ID…', 'queues jobs again [--refetch] [--dry-run]'],
  ['jobs replay ID…', 'calls the handler again with the saved result [--dry-run]'],
  ['jobs delete ID…', 'erases result, metadata and bodies'],
  ['send-test [completed|failed|ping] --to URL', 'sends one signed delivery to a running service'],
  ['backup FILE', 'a consistent copy of the database, while the service runs'],
  ['help | version', ''],
]

const HELP = `reducto-webhook-receiver: receives Reducto's webhooks from Svix, fetches and saves every result, and loses none.

${USAGE.map(([call, does]) => `  ${NAME} ${call.padEnd(18)}${call.length > 18 && does ? `\n  ${' '.repeat(NAME.length + 19)}` : ''} ${does}`.trimEnd()).join('\n')}

Which jobs, instead of ids: --state queued|running|done|dead --status Failed --type Extract --endpoint NAME
                            --error TEXT --since 2h --q START_OF_AN_ID
Commands that print take --json. Settings come from the environment or .env: see .env.example.
`

/** Loaded on demand, so that a command starts with no more than it needs. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./cli/serve.ts')).serve,
  demo: async () => (await import('./cli/demo.ts')).demo,
  handle: async () => (await import('./cli/handle.ts')).handle,
  jobs: async () => (await import('./cli/jobs.ts')).jobs,
  'send-test': async () => (await import('./cli/send-test.ts')).sendTest,
  backup: async () => (await import('./cli/backup.ts')).backup,
  help: async () => async () => print(HELP),
  version: async () => async () => print(`${versionOf(new URL('../package.json', import.meta.url))}\n`),
}

function versionOf(manifest: URL): string {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

async function run(argv: readonly string[]): Promise<number> {
  const [first = 'serve', ...rest] = argv
  const name = first === '--help' || first === '-h' ? 'help' : first === '--version' ? 'version' : first
  const load = ownOf(COMMANDS, name)
  if (!load) throw new WrongUse(`there is no command ${name}`)
  if (asksForHelp(rest)) return print(HELP)
  const command = await load()
  return command(rest)
}

/** At any position, also after a subcommand; arguments after `--` are not options. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')
}

function print(text: string): number {
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
  const { code, message } = error as NodeJS.ErrnoException
  if (error instanceof WrongUse || code?.startsWith('ERR_PARSE_ARGS')) {
    printError(message, `Try: ${NAME} help`)
    return EXIT.wrongUse
  }
  printError(message)
  return EXIT.problem
}

process.exit(await run(process.argv.slice(2)).catch(reportError))
