import type { ActionName, Actor } from '../actor.ts'
import { printable } from '../error-text.ts'
import type { Ledger } from '../inbox/inbox.ts'
import type { EventBus } from '../telemetry/events.ts'

/** Who does something, and where that is noted and told. */
export type ActingDeps = {
  readonly ledger: Pick<Ledger, 'note'>
  readonly actor: Actor
  readonly events: EventBus
}

/** Characters of a name: it may be a header's, or what somebody typed. */
const MAX_WHO = 100

type Doing = {
  readonly what: ActionName
  /** Which, where a filter said so; null where ids did. */
  readonly filter: object | null
  readonly ids: readonly string[]
}

/**
 * Notes what an operator is about to do, and tells it. Returns the number of the action; undefined when it is for nothing,
 * which is not noted. What cannot be noted is not done.
 */
export async function noteAction(deps: ActingDeps, doing: Doing): Promise<number | undefined> {
  return doing.ids.length === 0 ? undefined : note(deps, doing, doing.ids.length)
}

/** The same for what concerns the service as a whole. */
export function noteServiceAction(deps: ActingDeps, what: ActionName, details: object | null): Promise<number> {
  return note(deps, { what, filter: details, ids: [] }, 0)
}

async function note({ ledger, actor, events }: ActingDeps, { what, filter, ids }: Doing, count: number) {
  const who = printable(actor.who).replace(/\s+/g, ' ').trim().slice(0, MAX_WHO) || actor.role
  const action = { who, role: actor.role, what, filter: filter && withoutPersons(filter), count, ids }
  const seq = await ledger.note(action)
  events.emit('action', { who, role: actor.role, action: what, jobs: count })
  return seq
}

/**
 * Parts of a filter whose values may be a person's: the log of actions outlives what is erased. `q` has words of metadata, and an
 * error may quote some.
 */
const OF_PERSONS: ReadonlySet<string> = new Set(['metadata', 'q', 'error'])

function withoutPersons(filter: object): Readonly<Record<string, unknown>> {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name, value]) => [name, OF_PERSONS.has(name) ? hidden(value) : value]))
}

const HIDDEN = '…'

function hidden(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return HIDDEN
  return Object.fromEntries(Object.keys(value).map((name) => [name, HIDDEN]))
}
