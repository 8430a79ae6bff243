import type { Icon, Tone } from './icons.ts'
import type { Query } from './page.ts'
import { spanText } from './time.ts'

/** Where a button leads, or what it does. */
type Cure =
  | { readonly is: 'link'; readonly text: string; readonly path: readonly string[]; readonly query?: Query }
  | { readonly is: 'resume'; readonly text: string }

/** How it stands, in one sentence, why, and the one thing to do. */
export type Verdict = {
  readonly icon: Icon
  readonly tone: Tone
  /** The sentence. */
  readonly bold: string
  readonly rest: string
  readonly why: string
  readonly cure: Cure | null
}

export type Situation = {
  readonly now: number
  readonly notReady: readonly string[]
  readonly degraded: readonly { readonly name: string; readonly message: string; readonly since: number }[]
  readonly pause: { readonly since: number; readonly reason: string | null } | null
  readonly jobs: { readonly queued: number; readonly running: number; readonly done: number; readonly dead: number }
  /** What stopped jobs, the most first. */
  readonly causes: readonly { readonly text: string; readonly jobs: number; readonly isSaved: boolean }[]
  /** Jobs whose result only Reducto has, and when the first of them is deleted there, ms. */
  readonly atRisk: { readonly jobs: number; readonly purgeAt: number | null }
  /** When the last delivery arrived; null: none ever did. */
  readonly lastDeliveryAt: number | null
}

/** With less time left before Reducto deletes a result, it is the first thing to tell, ms. */
const PURGE_NEAR_MS = 3 * 3_600_000
/** A service that heard nothing for so long may have lost its endpoint, ms. */
const SILENT_MS = 24 * 3_600_000

type Rule = (situation: Situation) => Verdict | null

/** The first rule that has something to say decides: what is lost first comes first. */
export function verdictOf(situation: Situation): Verdict {
  for (const rule of RULES) {
    const verdict = rule(situation)
    if (verdict !== null) return verdict
  }
  return allWell(situation)
}

const RULES: readonly Rule[] = [cannotRecord, paused, pausedByItself, purgeNear, dead, handlerFails, degraded, silent]

function cannotRecord({ notReady }: Situation): Verdict | null {
  if (notReady.length === 0) return null
  return {
    ...BAD,
    bold: 'Deliveries cannot be recorded.',
    rest: 'Svix keeps them and tries again for about a day.',
    why: NOT_READY[notReady[0]!] ?? `The service says: ${notReady.join(', ')}.`,
    cure: null,
  }
}

const NOT_READY: Readonly<Record<string, string>> = {
  starting: 'The service is starting.',
  draining: 'The service is stopping.',
  inbox: 'The database does not take a write. Look at its disk, and at the log of the service.',
  inbox_locked: 'Another service holds the database. This one goes on when that one ends.',
}

function paused({ pause, now, jobs }: Situation): Verdict | null {
  if (pause === null) return null
  const reason = pause.reason === null ? '' : ` “${pause.reason}”.`
  return {
    icon: 'pause',
    tone: 'warn',
    bold: 'A person paused the worker.',
    rest: `Deliveries are accepted; ${count(jobs.queued, 'job waits', 'jobs wait')}.`,
    why: `Paused ${spanText(Math.max(now - pause.since, 0))} ago.${reason} Nothing is fetched or handed over until somebody resumes.`,
    cure: { is: 'resume', text: 'Resume' },
  }
}

/** Names of troubles that stop the worker. */
const STOPPING: ReadonlySet<string> = new Set(['reducto_auth', 'results', 'disk'])

function pausedByItself({ degraded: troubles, now }: Situation): Verdict | null {
  const trouble = troubles.find(({ name }) => STOPPING.has(name))
  if (!trouble) return null
  return {
    ...BAD,
    bold: STOPPED_BY[trouble.name]!,
    rest: 'Deliveries are accepted, and the worker goes on by itself when this is over.',
    why: `${sentence(trouble.message)} For ${spanText(Math.max(now - trouble.since, 0))}.`,
    cure: { is: 'link', text: 'See what waits', path: ['jobs'], query: { state: 'queued' } },
  }
}

const STOPPED_BY: Readonly<Record<string, string>> = {
  reducto_auth: 'Reducto refuses the key.',
  results: 'Results cannot be saved.',
  disk: 'The disk is full.',
}

function purgeNear({ atRisk, now }: Situation): Verdict | null {
  if (atRisk.purgeAt === null || atRisk.purgeAt - now >= PURGE_NEAR_MS) return null
  const left = atRisk.purgeAt - now
  const when = left > 0 ? `in about ${spanText(left)}` : 'about now'
  return {
    ...BAD,
    bold: `${count(atRisk.jobs, 'result is', 'results are')} still only at Reducto.`,
    rest: `The first is deleted there ${when}.`,
    why: 'Reducto keeps a result for about 12 hours after its job ended. What is not fetched by then is lost.',
    cure: { is: 'link', text: 'See which', path: ['jobs'], query: { stage: 'fetch' } },
  }
}

function dead({ jobs, causes, atRisk, now }: Situation): Verdict | null {
  if (jobs.dead === 0) return null
  const [first, second] = causes
  const parts = [
    first && `${first.jobs === jobs.dead ? 'All' : first.jobs} stopped for the same reason: ${first.text}.`,
    second && `${second.jobs} more: ${second.text}.`,
    atRisk.purgeAt !== null &&
      `The first that is still only at Reducto is deleted in ${spanText(Math.max(atRisk.purgeAt - now, 0))}.`,
    'Deliveries are accepted, nothing is lost.',
  ]
  return {
    ...BAD,
    bold: `${count(jobs.dead, 'job needs', 'jobs need')} a person.`,
    rest: 'Everything else flows.',
    why: parts.filter((part) => typeof part === 'string').join(' '),
    cure: { is: 'link', text: 'Look at the dead', path: ['dead'] },
  }
}

function handlerFails({ degraded: troubles, now }: Situation): Verdict | null {
  const trouble = troubles.find(({ name }) => name === 'handler')
  if (!trouble) return null
  return {
    icon: 'retrying',
    tone: 'warn',
    bold: 'Your handler fails.',
    rest: 'Results are saved, and handed over again until it takes them.',
    why: `${sentence(trouble.message)} For ${spanText(Math.max(now - trouble.since, 0))}.`,
    cure: { is: 'link', text: 'See which jobs', path: ['jobs'], query: { stage: 'hand_over', state: 'queued' } },
  }
}

function degraded({ degraded: troubles, now }: Situation): Verdict | null {
  const [trouble] = troubles
  if (!trouble) return null
  return {
    icon: 'retrying',
    tone: 'warn',
    bold: DEGRADED[trouble.name] ?? 'Something is not as it should be.',
    rest: 'Deliveries are accepted.',
    why: `${sentence(trouble.message)} For ${spanText(Math.max(now - trouble.since, 0))}.`,
    cure:
      trouble.name === 'payload'
        ? { is: 'link', text: 'See the bodies', path: ['deliveries'], query: { disposition: 'ignored' } }
        : null,
  }
}

const DEGRADED: Readonly<Record<string, string>> = {
  reducto: 'Reducto does not answer.',
  payload: 'Deliveries arrive that are no job updates.',
  downloads: 'A host refuses downloads.',
  silence: 'Nothing arrives although it should.',
  clock: 'The clock of this machine has jumped.',
}

function silent({ lastDeliveryAt, now, jobs }: Situation): Verdict | null {
  if (lastDeliveryAt === null) {
    return {
      icon: 'expected',
      tone: 'wait',
      bold: 'No delivery has arrived yet.',
      rest: 'The service is ready for the first one.',
      why: 'In the Svix dashboard of Reducto, add this service’s /webhook as an endpoint, and send an example.',
      cure: null,
    }
  }
  if (now - lastDeliveryAt < SILENT_MS) return null
  return {
    icon: 'retrying',
    tone: 'warn',
    bold: `Nothing has arrived for ${spanText(now - lastDeliveryAt)}.`,
    rest: jobs.queued + jobs.running === 0 ? 'Nothing waits.' : 'What arrived before is being processed.',
    why: 'If jobs were submitted since, look at the endpoint in the Svix dashboard: Svix disables one that fails for days.',
    cure: { is: 'link', text: 'See the last ones', path: ['deliveries'] },
  }
}

function allWell({ jobs }: Situation): Verdict {
  const open = jobs.queued + jobs.running
  return {
    icon: 'done',
    tone: 'ok',
    bold: 'All is well.',
    rest: open === 0 ? 'Everything that arrived is done.' : `${count(open, 'job is', 'jobs are')} on the way.`,
    why: 'Deliveries are accepted, results are saved, and nothing needs a person.',
    cure: null,
  }
}

const BAD = { icon: 'dead', tone: 'bad' } as const

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`
}

/** A message of the service as a sentence. */
function sentence(text: string): string {
  const first = text.slice(0, 1).toUpperCase() + text.slice(1)
  return /[.!?…]$/.test(first) ? first : `${first}.`
}
