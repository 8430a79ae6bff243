import type { Ledger } from '../inbox/inbox.ts'
import { type Refusal, refuse, type Skipped } from './refusal.ts'

type Ids = Pick<Ledger, 'idsFrom'>
type Kind = Parameters<Ledger['idsFrom']>[0]

/** Ids that an ambiguous start names as examples. */
const MAX_EXAMPLES = 3
/** A shorter start of an id is a slip, whatever it matches. Characters. */
const MIN_PREFIX = 4

const NOUN: Readonly<Record<Kind, string>> = { job: 'job', delivery: 'delivery' }

/** The one id that is `given`, or begins with it. An id that is there is itself, also where longer ones begin with it. */
export async function resolveId(ledger: Ids, kind: Kind, given: string): Promise<{ is: 'id'; id: string } | Refusal> {
  const found = await ledger.idsFrom(kind, given, MAX_EXAMPLES + 1)
  if (found.includes(given)) return { is: 'id', id: given }
  const [only, ...more] = found
  if (only === undefined || given.length < MIN_PREFIX) return refuse('unknown', `there is no ${NOUN[kind]} ${given}`)
  if (more.length === 0) return { is: 'id', id: only }
  const examples = found.slice(0, MAX_EXAMPLES).join(', ') + (found.length > MAX_EXAMPLES ? ', …' : '')
  return refuse('ambiguous', `more than one ${NOUN[kind]} begins with ${given}: ${examples}; give more of the id`)
}

/** Each of `given` as an id, once; what is none, or could be several, is skipped. */
export async function resolveIds(
  ledger: Ids,
  kind: Kind,
  given: readonly string[],
): Promise<{ readonly ids: readonly string[]; readonly skipped: readonly Skipped[] }> {
  const ids = new Set<string>()
  const skipped: Skipped[] = []
  for (const one of new Set(given)) {
    const resolved = await resolveId(ledger, kind, one)
    if (resolved.is === 'id') ids.add(resolved.id)
    else
      skipped.push({ id: one, why: resolved.code === 'unknown' ? `there is no such ${NOUN[kind]}` : resolved.message })
  }
  return { ids: [...ids], skipped }
}
