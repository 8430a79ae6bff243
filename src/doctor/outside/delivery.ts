import type { Prover } from '../../proof.ts'
import { adviceOn } from '../advice.ts'
import { changeOf } from '../arrival.ts'
import { CallFailed, SVIX_TIMEOUT_MS } from '../call.ts'
import { type Check, type DoctorContext, outsideOf } from '../context.ts'
import { findingOf, type Item, ok, problem, Skip, warning } from '../finding.ts'
import { type Echo, type Probed, sendProbe } from '../probe.ts'
import { wrongSecret } from '../wrong-secret.ts'
import { requireAnswer } from './answer.ts'
import { eachEndpoint } from './each.ts'

/** Slower than this part of the time that Svix waits, 5 of 15 s, and there is little left of it. */
const SLOW_PART = 1 / 3

/** A small delivery whose bytes nobody would write like that again: spaces, escapes, a number with a zero. */
const BODY = '{ "success": true, "text": "\\u00fc ü \\/", "number": 1.0, "list": [ ] }\n'

/** Whether a signed delivery arrives byte for byte, with its headers, in time, and at the endpoint that it was sent to. */
export const delivery: Check = {
  name: 'delivery',
  group: 'outside',
  limit: 90_000,
  run: async (context, signal) =>
    findingOf(await eachEndpoint(context, (endpoint) => deliver(context, endpoint, BODY, signal))),
}

/** @throws Skip when the service does not answer, or cannot be recognised */
export async function deliver(
  context: DoctorContext,
  endpoint: string,
  body: string,
  signal: AbortSignal,
): Promise<Item> {
  await requireAnswer(context, endpoint)
  // Without a proof no delivery is sent: it might be recorded, by whomever.
  const prover = await proverOf(context)
  const { timeout, ...outside } = outsideOf(context)
  const url = outside.urlOf(endpoint)
  const secrets = context.settings.get('endpoints').get(endpoint) ?? []
  try {
    const probed = await sendProbe(url, { prover, secrets, body, now: context.now(), signal, timeout })
    if (!probed.isOurs) return notOurs(url, probed)
    if (probed.echo === null) return refused(url, probed)
    return await judge(context, endpoint, url, { ...probed, echo: probed.echo }, signal)
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error
    return problem(`POST ${url.href}: ${error.message}`, error.cure)
  }
}

async function proverOf(context: DoctorContext): Promise<Prover> {
  const prover = await context.prover()
  if (prover) return prover
  throw new Skip(
    'the database cannot be read here, and so no delivery can be sent that leaves nothing behind',
    'run doctor where the service runs; or `send-test ping --to URL`, which is recorded as ignored',
  )
}

function notOurs(url: URL, { got }: Probed): Item {
  return problem(
    `a delivery to ${url.href} was answered with ${got.status}, and not by this service`,
    adviceOn(got, url).message,
  )
}

function refused(url: URL, { got }: Probed): Item {
  return problem(`this service refused a delivery to ${url.href} with ${got.status}`, adviceOn(got, url).message)
}

async function judge(
  context: DoctorContext,
  endpoint: string,
  url: URL,
  probed: Probed & { readonly echo: Echo },
  signal: AbortSignal,
): Promise<Item> {
  const { echo, got } = probed
  const change = changeOf(probed, url)
  if (change) return change
  if (echo.endpoint !== endpoint)
    return problem(
      `${url.href} leads to the endpoint ${echo.endpoint}`,
      'something in front rewrites the path: pass /webhook and all below it on as they are',
    )
  if (echo.signature !== 'valid') return wrongSecret(context, endpoint, url, echo.signature, signal)
  if (got.ms > outsideOf(context).timeout * SLOW_PART)
    return warning(
      `a delivery to ${url.href} took ${got.ms} ms`,
      `Svix gives up after ${SVIX_TIMEOUT_MS / 1000} s: look at the network, and at what stands in front`,
    )
  return ok(`a delivery to ${url.href} arrives as it was sent (${got.ms} ms)`)
}
