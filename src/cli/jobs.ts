import { parseArgs } from 'node:util'
import { spread } from '../backoff.ts'
import type { JobFilter, Ledger } from '../inbox/inbox.ts'
import { openLedger } from '../inbox/open.ts'
import { isJobId, type JobState } from '../job.ts'
import { openResults } from '../results/open.ts'
import type { Results } from '../results/results.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { describeResultsLocation } from '../settings/stores.ts'
import { parseDuration } from '../units.ts'
import { type Command, ownOf, WrongUse } from './command.ts'
import { forget } from './forget.ts'
import { describeJob, stateOf } from './job-text.ts'
import { allJobs, showSearched, wholePage } from './pages.ts'
import { ago, oneLine, table } from './table.ts'

const STATES: readonly JobState[] = ['expected', 'queued', 'running', 'done', 'dead']

const OPTIONS = {
  state: { type: 'string' },
  status: { type: 'string' },
  type: { type: 'string' },
  endpoint: { type: 'string' },
  error: { type: 'string' },
  since: { type: 'string' },
  q: { type: 'string' },
  limit: { type: 'string', default: '20' },
  cursor: { type: 'string' },
  refetch: { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const

type Given = ReturnType<typeof read>
type Tools = {
  readonly ledger: Ledger
  readonly results: Results
  /** `place`: where results are kept, for people. */
  readonly given: Given & { readonly place: string }
}

type Subcommand = {
  run(tools: Tools): Promise<number>
  /** Beside `--json`. */
  readonly options: readonly string[]
  /** How many job ids it takes; `or filter`: ids, or options that say which jobs. Never all by accident. */
  readonly takes: 'no ids' | 'one id' | 'ids' | 'ids or filter'
}

const FILTERS = ['state', 'status', 'type', 'endpoint', 'error', 'since', 'q']
const COMMANDS: Readonly<Record<string, Subcommand>> = {
  list: { run: list, options: [...FILTERS, 'limit', 'cursor'], takes: 'no ids' },
  show: { run: show, options: [], takes: 'one id' },
  retry: { run: retry, options: [...FILTERS, 'refetch', 'dry-run'], takes: 'ids or filter' },
  replay: { run: replay, options: [...FILTERS, 'dry-run'], takes: 'ids or filter' },
  delete: { run: remove, options: [], takes: 'ids' },
}

/**
 * `jobs list|show|retry|replay|delete`: looks at the jobs and queues them again, beside a running service, which sees it
 * within a second.
 */
export const jobs: Command = async (args) => {
  const given = read(args)
  const command = ownOf(COMMANDS, given.name)
  if (!command) throw new WrongUse(`jobs takes one of ${Object.keys(COMMANDS).join(', ')}`)
  check(given, command)
  const config = loadConfig(environment(), ['database', 'results', 'minFreeDisk'])
  const ledger = await openLedger(config.database)
  try {
    const results = await openResults(config.results, { minFree: config.minFreeDisk })
    const place = describeResultsLocation(config.results)
    return await command.run({ ledger, results, given: { ...given, place } })
  } finally {
    await ledger.close()
  }
}

function check({ name, ids, named, filter }: Given, { options, takes }: Subcommand): void {
  const unknown = named.find((option) => option !== 'json' && !options.includes(option))
  if (unknown) throw new WrongUse(`jobs ${name} does not know --${unknown}`)
  if (takes === 'no ids' && ids.length > 0) throw new WrongUse(`jobs ${name} takes no ids; jobs show ID tells of one`)
  if (takes === 'one id' && ids.length !== 1) throw new WrongUse(`jobs ${name} takes one job id`)
  if (takes === 'ids' && ids.length === 0) throw new WrongUse(`jobs ${name} takes job ids`)
  if (takes === 'ids or filter' && ids.length === 0 && Object.keys(filter).length === 0)
    throw new WrongUse(
      `jobs ${name} takes job ids, or options that say which: --state dead, --since 2h, --error CODE, …`,
    )
}

function read(args: readonly string[]) {
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
    tokens: true,
  })
  const [name = '', ...given] = positionals
  const ids = [...new Set(given)]
  const wrong = ids.find((id) => !isJobId(id))
  if (wrong !== undefined) throw new WrongUse(`${wrong} is no job id`)
  const limit = Number(values.limit)
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw new WrongUse('--limit takes a number from 1 to 1000')
  if (values.cursor !== undefined && !/^\d+$/.test(values.cursor))
    throw new WrongUse('--cursor takes what a list ended with')
  const named = tokens.flatMap((token) => (token.kind === 'option' ? token.name : []))
  return { ...values, name, ids, named, limit, filter: filterOf(values) }
}

function filterOf(values: { [K in (typeof FILTERS)[number]]?: unknown }): JobFilter {
  const { state, since } = values as { state?: string; since?: string }
  if (state !== undefined && !STATES.includes(state as JobState))
    throw new WrongUse(`--state takes one of ${STATES.join(', ')}`)
  const others = ['state', 'status', 'type', 'endpoint', 'error', 'q'].flatMap((name) =>
    values[name] === undefined ? [] : [[name, values[name]]],
  )
  return { ...Object.fromEntries(others), ...(since === undefined ? {} : { since: sinceOf(since) }) }
}

/** A duration back from now, or a time. */
function sinceOf(text: string): number {
  const time = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time)) return time
  try {
    return Date.now() - parseDuration(text)
  } catch {
    throw new WrongUse('--since takes a duration such as 2h or 3d, or a time such as 2026-11-24T12:00Z')
  }
}

async function list({ ledger, given }: Tools): Promise<number> {
  const progress = showSearched(process.stderr)
  const page = await wholePage(ledger, given.filter, given, progress.searched).finally(progress.end)
  if (given.json) return print(`${JSON.stringify(plain(page))}\n`)
  if (page.rows.length === 0) return print('No job matches.\n')
  const rows = page.rows.map((job) => [
    job.jobId,
    stateOf(job),
    ago(job.updatedAt),
    job.type ?? '',
    job.endpoint,
    job.reason?.message ?? '',
  ])
  print(table(['JOB', 'STATE', 'CHANGED', 'TYPE', 'ENDPOINT', 'REASON'], rows, { cut: true }))
  return page.next === null ? 0 : print(`\nMore: --cursor ${page.next}\n`)
}

async function show({ ledger, results, given }: Tools): Promise<number> {
  const id = given.ids[0]!
  const job = await ledger.get(id)
  if (!job) throw new Error(`there is no job ${id}`)
  const record = await results.record(id, new AbortController().signal)
  return given.json
    ? print(`${JSON.stringify({ ...plain(job), record })}\n`)
    : print(describeJob(job, record, given.place))
}

/** As the record has it: names with underscores, times in ISO 8601. */
function plain(value: unknown): object {
  const one = (name: string, inner: unknown): unknown => {
    if (typeof inner === 'number' && (name.endsWith('At') || name === 'searchedTo'))
      return new Date(inner).toISOString()
    if (Array.isArray(inner)) return inner.map((item) => one('', item))
    if (typeof inner !== 'object' || inner === null) return inner
    return Object.fromEntries(
      Object.entries(inner).map(([key, item]) => [
        key.replace(/[A-Z]/g, (big) => `_${big.toLowerCase()}`),
        one(key, item),
      ]),
    )
  }
  return one('', value) as object
}

async function retry({ ledger, given }: Tools): Promise<number> {
  const options = { dryRun: given['dry-run'], refetch: given.refetch }
  let count = 0
  for (const filter of filtersOf(given, 'dead')) count += await ledger.requeue(filter, options)
  report(given, count, 'queued again')
  return leftOut(ledger, given)
}

/** Says of each id that could not be queued why. */
async function leftOut(ledger: Ledger, { ids }: Given): Promise<number> {
  let problems = 0
  for (const id of ids) {
    const job = await ledger.get(id)
    const why =
      job === null
        ? 'there is no such job'
        : job.reason?.code === 'erased'
          ? 'was forgotten, and does not come back'
          : job.state === 'running'
            ? 'is being worked on right now'
            : null
    if (why === null) continue
    process.stderr.write(`${id}: ${why}\n`)
    problems++
  }
  return problems > 0 ? 1 : 0
}

/** Only what is saved is replayed: nothing is fetched. */
async function replay({ ledger, results, given }: Tools): Promise<number> {
  const progress = showSearched(process.stderr)
  let [count, unsaved] = [0, 0]
  try {
    for (const filter of filtersOf(given, 'done'))
      for await (const { jobId, reason } of allJobs(ledger, filter, progress.searched)) {
        if (reason?.code === 'erased') continue
        const record = await results.record(jobId, new AbortController().signal)
        if (record === null || record.gave_up) unsaved++
        else count += await ledger.requeue({ jobId }, { dryRun: given['dry-run'], after: spread(count, count + 1) })
      }
  } finally {
    progress.end()
  }
  if (unsaved > 0)
    process.stderr.write(`${unsaved} have no saved result any more: jobs retry --refetch fetches them anew\n`)
  report(given, count, 'handed over again')
  return leftOut(ledger, given)
}

/** One filter for each id, or the one that the options make. */
function filtersOf({ ids, filter }: Given, usual: JobState): readonly JobFilter[] {
  if (ids.length > 0) return ids.map((jobId) => ({ ...filter, jobId }))
  return [{ state: usual, ...filter }]
}

async function remove({ ledger, results, given }: Tools): Promise<number> {
  let count = 0
  for (const id of given.ids) {
    const problem = await forget(id, { ledger, results })
    if (problem === null) count++
    else process.stderr.write(`${oneLine(problem)}\n`)
  }
  if (given.json) print(`${JSON.stringify({ jobs: count })}\n`)
  else print(`${count} ${count === 1 ? 'job' : 'jobs'} forgotten: result, metadata and bodies\n`)
  return count === given.ids.length ? 0 : 1
}

function report(given: Given, count: number, what: string): number {
  const dryRun = given['dry-run']
  if (given.json) return print(`${JSON.stringify({ jobs: count, dry_run: dryRun })}\n`)
  return print(`${count} ${count === 1 ? 'job' : 'jobs'} ${dryRun ? 'would be' : 'will be'} ${what}\n`)
}

function print(text: string): 0 {
  process.stdout.write(text)
  return 0
}
