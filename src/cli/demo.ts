import { styleText } from 'node:util'
import Reducto from 'reductoai'
import { type Service, scrubFor, startService } from '../compose.ts'
import { shellEnvironment } from '../settings/environment.ts'
import { describeResultsLocation } from '../settings/stores.ts'
import { newSecret } from '../signing.ts'
import { KINDS, type Kind } from '../simulator/documents/documents.ts'
import { type Fault, type Reducto as SimulatedReducto, startReducto } from '../simulator/reducto.ts'
import { createSvix, type Svix } from '../simulator/svix.ts'
import { createEvents, type EventBus } from '../telemetry/events.ts'
import { openLog } from '../telemetry/log.ts'
import { createScrub } from '../telemetry/scrub.ts'
import { formatBytes } from '../units.ts'
import { type Run, WrongUse } from './command.ts'
import { doctorCommand } from './demo-doctor.ts'
import { onStopSignals } from './signals.ts'
import { simulatedConfig } from './simulated.ts'
import type { demo } from './spec/develop.ts'
import { watchEnd } from './watch-end.ts'

/** Svix's schedule of 28 hours in 5 minutes. */
const SPEED = 300
/** Pause between the submissions of the stream, ms. */
const EVERY = 400
/** Known to all: the demo listens on this machine alone. */
const TOKEN = 'demo-operator-token'
/** Kinds that the demo's application submits from its development environment: to a channel with an endpoint of its own. */
const IN_DEVELOPMENT: ReadonlySet<Kind> = new Set(['extract-v3', 'classify'])

/**
 * `demo [--once] [--port N]`: the service with a simulated Svix and Reducto, in a temporary folder. Tells what happens
 * in words; `--once` ends with a summary when everything is settled.
 */
export const runDemo: Run<typeof demo> = async ({ values }) => {
  const port = Number(values.port)
  if (!/^\d{1,5}$/.test(values.port) || port > 65_535) throw new WrongUse('--port takes a number from 0 to 65535')
  const ends = watchEnd({
    tell: (code) => say('', `The handler or a package of it ended the process (exit code ${code}).`),
  })
  try {
    return await run(values)
  } finally {
    ends()
  }
}

async function run(values: { readonly once: boolean; readonly port: string }): Promise<number> {
  const svix = createSvix({ speed: SPEED })
  const reducto = await startReducto({
    jobTime: 150,
    onEnd: ({ id, status, metadata, channels }) => void svix.send({ status, job_id: id, metadata }, { channels }),
  })
  const { HANDLER, HANDLER_TIMEOUT } = shellEnvironment()
  const config = simulatedConfig(reducto, {
    ...{ PORT: values.port, HANDLER, HANDLER_TIMEOUT, ADMIN_TOKEN: TOKEN },
    SVIX_WEBHOOK_SECRET_DEVELOPMENT: newSecret(),
  })
  const events = createEvents()
  const names = new Map<string, string>()
  const handsOver = config.handler !== null
  narrate(events, names, handsOver)
  // What happens is told in words; the log is for the handler's own lines.
  const level = handsOver ? 'debug' : 'silent'
  const { log, flush } = openLog({ level, scrub: scrubFor(config), terminal: process.stdout.isTTY })

  const stopping = new AbortController()
  onStopSignals(
    () => stopping.abort(),
    () => process.kill(process.pid, 'SIGKILL'),
  )
  const service = await startService({ config, log, events, signal: stopping.signal })
  const url = `http://127.0.0.1:${service.port}`
  addEndpoints(svix, url, config.endpoints)
  say('', `The service listens on ${url}, and a simulated Svix delivers to it: the channel production`)
  say('', 'to /webhook, and development to /webhook/development, each with a secret of its own.')
  say(
    '',
    `A simulated Reducto answers at ${reducto.url}. Results are saved in ${describeResultsLocation(config.results)}`,
  )
  if (config.handler?.kind === 'module') say('', `Each saved result is handed to ${config.handler.path}`)
  say('', `The operator’s page: ${url}/ (sign in with ${TOKEN})`)
  if (!values.once) say('', `What doctor says of it: ${doctorCommand(config, service.port, reducto)}`)
  say('', values.once ? 'Nine jobs, some trouble, then a summary.' : 'A mixed stream of jobs; Ctrl-C ends it.')

  const stream = { reducto, svix, service, names, signal: stopping.signal }
  try {
    await firstRound(stream)
    while (!values.once && !stopping.signal.aborted) {
      const kind = anyKind()
      await submit(stream, kind, Math.random() < 0.2 ? TROUBLE[kind] : undefined)
    }
    await allSettled(stream)
    await summarise(service, describeResultsLocation(config.results))
    return 0
  } finally {
    stopping.abort()
    await svix.stop()
    await service.stop()
    await reducto.stop()
    flush()
  }
}

/** As a user sets them up in Svix's dashboard: an endpoint for each channel. */
function addEndpoints(svix: Svix, url: string, endpoints: ReadonlyMap<string, readonly string[]>): void {
  svix.addEndpoint({ url: `${url}/webhook`, secret: endpoints.get('default')![0]!, channels: ['production'] })
  const [secret] = endpoints.get('development')!
  svix.addEndpoint({ url: `${url}/webhook/development`, secret: secret!, channels: ['development'] })
}

type Stream = {
  readonly reducto: SimulatedReducto
  readonly svix: Svix
  readonly service: Service
  readonly names: Map<string, string>
  readonly signal: AbortSignal
}

/** The API can be behind its own webhook, overloaded, cut off, or limit the rate of calls. */
const TROUBLE: Partial<Record<Kind, Fault>> = {
  extract: { is: 'unfinished' },
  split: { is: 'status', status: 503 },
  pipeline: { is: 'truncate' },
  classify: { is: 'status', status: 429 },
}

/** One job of every kind, and the troubles that every receiver meets. */
async function firstRound(stream: Stream): Promise<void> {
  const { reducto, svix } = stream
  for (const kind of KINDS) {
    if (stream.signal.aborted) return
    await submit(stream, kind, TROUBLE[kind])
  }
  const failed = reducto.addJob({
    status: 'Failed',
    reason: 'The document is protected by a password',
    metadata: { file: 'locked.pdf' },
  })
  stream.names.set(failed, 'a job that fails')
  const metadata = { file: 'locked.pdf' }
  const message = svix.send({ status: 'Failed', job_id: failed, metadata }, { channels: ['production'] })
  await svix.settled()
  // A person presses Resend, and a network hiccup repeats a delivery three times at once.
  await svix.resend(message)
  await svix.burst(message, 3)
  svix.ping()
}

/** A job that ends at once, or, of the first kind, one that is submitted with the SDK as a user would. */
async function submit({ reducto, svix, names, signal }: Stream, kind: Kind, trouble?: Fault): Promise<void> {
  const client = new Reducto({ apiKey: reducto.apiKey, baseURL: reducto.url, maxRetries: 0 })
  const metadata = { file: `${kind}-${names.size + 1}.pdf` }
  const channels = [IN_DEVELOPMENT.has(kind) ? 'development' : 'production']
  if (kind === 'parse') {
    const { job_id } = await client.parse.runJob({
      input: 'https://example.com/report.pdf',
      async: { webhook: { mode: 'svix', channels }, metadata },
    })
    names.set(job_id, kind)
  } else {
    const id = reducto.addJob({ kind, metadata })
    names.set(id, kind)
    if (trouble) reducto.fail(id, trouble)
    svix.send({ status: 'Completed', job_id: id, metadata }, { channels })
  }
  await pause(EVERY, signal)
}

function anyKind(): Kind {
  return KINDS[Math.floor(Math.random() * KINDS.length)]!
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => resolve(), { once: true })
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
}

/** Resolves when Svix plans nothing any more, and no job is queued or running but those that the handler does not take. */
async function allSettled({ svix, service, signal }: Stream): Promise<void> {
  await svix.settled()
  const open = async () => {
    const { jobs } = await service.inbox.stats()
    const { rows } = await service.inbox.list({ state: 'queued' }, { limit: 100 })
    return (
      jobs.queued + jobs.running - rows.filter(({ stage, failures }) => stage === 'hand_over' && failures > 0).length
    )
  }
  while (!signal.aborted && (await open()) > 0) await pause(100, signal)
}

function narrate(events: EventBus, names: ReadonlyMap<string, string>, handsOver: boolean): void {
  const name = (jobId: string | null) => (jobId === null ? '' : `${names.get(jobId) ?? 'job'} ${jobId.slice(0, 8)}`)
  const scrub = createScrub([])
  events.on('delivery', ({ outcome, jobId, endpoint, ms }) => {
    const what = jobId === null ? 'no job update: recorded, nothing to do' : name(jobId)
    const channel = endpoint === 'default' ? 'production' : endpoint
    say(outcome, `${what} (${channel}, ${ms.toFixed(1)} ms)`)
  })
  events.on('refused', ({ status, reason }) => say('refused', `${status} ${reason}`))
  events.on('settled', ({ jobId, outcome, files, bytes, ms, dueAt }) => {
    const size = `${files} ${files === 1 ? 'file' : 'files'}, ${formatBytes(bytes)} in ${Math.round(ms)} ms`
    if (outcome.is === 'done' && handsOver)
      return say('handled', `${name(jobId)}: ${outcome.status}, in ${Math.round(ms)} ms`)
    if (outcome.is === 'done') return say('saved', `${name(jobId)}: ${outcome.status}, ${size}`)
    if (outcome.is === 'saved') return say('saved', `${name(jobId)}: ${size}; waits for the handler`)
    const reason = 'reason' in outcome ? scrub(outcome.reason.message) : ''
    if (outcome.is === 'dead') return say('dead', `${name(jobId)}: ${reason}`)
    say('retry', `${name(jobId)}: ${reason}; again in ${Math.max(0, (dueAt - Date.now()) / 1000).toFixed(1)} s`)
  })
  events.on('paused', ({ reason }) => say('paused', reason.message))
  events.on('resumed', () => say('resumed', 'the cause is gone'))
}

const COLOURS: Readonly<Record<string, 'green' | 'yellow' | 'red' | 'cyan' | 'gray'>> = {
  accepted: 'cyan',
  duplicate: 'gray',
  ignored: 'gray',
  saved: 'green',
  handled: 'green',
  retry: 'yellow',
  dead: 'red',
  refused: 'red',
  paused: 'red',
}

function say(label: string, text: string): void {
  process.stdout.write(`${styleText(COLOURS[label] ?? 'reset', label.padEnd(10))} ${text}\n`)
}

async function summarise(service: Service, folder: string): Promise<void> {
  const { jobs, deliveries } = await service.inbox.stats()
  const recorded = deliveries.job + deliveries.ignored + deliveries.rejected
  say('', '')
  say(
    '',
    `${recorded} deliveries recorded: ${deliveries.job} for jobs, ${deliveries.ignored} ignored, ${deliveries.rejected} rejected`,
  )
  say('', `${jobs.done} jobs done, ${jobs.dead} dead, ${jobs.queued + jobs.running} open`)
  say('', `Look at ${folder}: each job has a folder with record.json, job.json, files.jsonl and files/`)
}
