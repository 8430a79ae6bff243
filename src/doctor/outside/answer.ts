import { adviceOn } from '../advice.ts'
import type { CallAnswer } from '../call.ts'
import { CallFailed } from '../call.ts'
import { type Check, type DoctorContext, outsideOf } from '../context.ts'
import { findingOf, type Item, ok, problem, Skip } from '../finding.ts'

/** Whether this service answers at the URL of each endpoint, and nothing in front of it. */
export const answer: Check = {
  name: 'answer',
  group: 'outside',
  limit: 45_000,
  async run(context) {
    const outside = outsideOf(context)
    const endpoints = [...context.settings.get('endpoints').keys()]
    await outside.requireConnection()
    return findingOf(await Promise.all(endpoints.map((endpoint) => look(context, endpoint))))
  },
}

const seen = new WeakMap<DoctorContext, Map<string, Promise<Item>>>()

/** Looked at once; checks that send a delivery wait for it. */
function look(context: DoctorContext, endpoint: string): Promise<Item> {
  const own = seen.get(context) ?? new Map<string, Promise<Item>>()
  seen.set(context, own)
  const known = own.get(endpoint) ?? lookNow(context, endpoint)
  own.set(endpoint, known)
  return known
}

/** @throws Skip unless it is known that the service itself answers there */
export async function requireAnswer(context: DoctorContext, endpoint: string): Promise<void> {
  await outsideOf(context).requireConnection()
  if ((await look(context, endpoint)).status === 'problem') throw new Skip('this service does not answer: see answer')
}

async function lookNow(context: DoctorContext, endpoint: string): Promise<Item> {
  const outside = outsideOf(context)
  const prover = await context.prover()
  const asked = prover?.probe(context.now()) ?? null
  const url = outside.urlOf(endpoint)
  try {
    const got = await outside.get(endpoint, asked)
    if (asked !== null && got.proof === asked.proof) return proven(url, got)
    if (isRefusalOfMethod(got) && asked !== null)
      return problem(
        `${url.href} is answered by a receiver, but not by the one with this database${got.proof === null ? ' (or by an older version of it)' : ''}`,
        'is it another installation’s URL? If it is this one’s, restart the service; run doctor with the same DATABASE_URL',
      )
    if (isRefusalOfMethod(got))
      return ok(`${url.href} answers 405, as this service does; it could not prove to be this one`)
    return inFront(url, got)
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error
    return problem(
      `${url.href}: ${error.message}${error.message.includes(error.code) ? '' : ` (${error.code})`}`,
      error.cure,
    )
  }
}

function proven(url: URL, got: CallAnswer): Item {
  if (got.status === 405 && got.allow === 'POST') return ok(`${url.href} is answered by this service (${got.ms} ms)`)
  if (got.status === 404) return problem(`this service answers ${url.href} with 404`, adviceOn(got, url).message)
  return problem(
    `this service answered ${url.href}, but what came back is ${got.status} with Allow: ${got.allow ?? '(none)'}`,
    'something in front changes its answers: let them pass as they are',
  )
}

function isRefusalOfMethod({ status, allow, body }: CallAnswer): boolean {
  return status === 405 && allow === 'POST' && body === '{"error":"method_not_allowed"}'
}

function inFront(url: URL, got: CallAnswer): Item {
  if (got.status >= 200 && got.status < 300)
    return problem(
      `something else answers ${url.href}, with ${got.status}: Svix takes that for a delivery, which is lost`,
      'pass /webhook on to the service; nothing in front of it may answer 2xx by itself',
    )
  return problem(`${url.href} answers ${got.status}`, adviceOn(got, url).message)
}
