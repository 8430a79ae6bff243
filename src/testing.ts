/**
 * What `reducto-webhook-receiver/testing` exports, for users' test suites: signed deliveries, and a Reducto on a port
 * of this machine. Names and types in it are only ever added to.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { newMessageId, newSecret, sign, signatureHeaders } from './signing.ts'
import type { Reducto } from './simulator/reducto.ts'
import { simulatedSettings } from './simulator/settings.ts'
import type { EventBus, Events } from './telemetry/events.ts'

export type { Document, Kind } from './simulator/documents/documents.ts'
export type { Fault, NewJob, Reducto, ReductoOptions } from './simulator/reducto.ts'
export { startReducto } from './simulator/reducto.ts'
export type { StorageFault } from './simulator/storage.ts'

export type DeliveryOptions = {
  /** The endpoint's signing secret (whsec_…). */
  readonly secret: string
  readonly jobId: string
  /** Default: `Completed`. */
  readonly status?: string
  /** The metadata that the job was submitted with. */
  readonly metadata?: unknown
  /** Another body, sent unchanged instead of a job update. */
  readonly body?: string
  /** The delivery's id. Using the same one twice repeats the delivery. */
  readonly id?: string
  /** The time of the signature; default: now. */
  readonly at?: Date
}

/** A request as Svix sends it. */
export type SignedDelivery = { readonly headers: Readonly<Record<string, string>>; readonly body: string }

/** A signing secret like Svix's. */
export function newSigningSecret(): string {
  return newSecret()
}

/** A delivery as Reducto sends it through Svix, signed by Svix's own library. Send `body` unchanged, byte for byte. */
export function signDelivery(options: DeliveryOptions): SignedDelivery {
  const { secret, jobId, status = 'Completed', metadata = null, id = newMessageId(), at = new Date() } = options
  const body = options.body ?? JSON.stringify({ status, job_id: jobId, metadata })
  const headers = { 'content-type': 'application/json', ...signatureHeaders(sign(id, at, body, [secret])) }
  return { headers, body }
}

/** The answer to a delivery. `body`: parsed when it is JSON. */
export type DeliveryAnswer = { readonly status: number; readonly body: unknown }

/** As long as Svix waits for an answer, ms. */
const ANSWER_TIMEOUT_MS = 15_000

/**
 * Posts a delivery to a URL, or to a path of an app or a server that need not listen: the server then listens on a free
 * port of 127.0.0.1 for this one call.
 */
export async function deliver(to: string | URL, delivery: SignedDelivery): Promise<DeliveryAnswer>
export async function deliver(
  to: RequestListener | Server,
  delivery: SignedDelivery,
  path?: string,
): Promise<DeliveryAnswer>
export async function deliver(
  to: string | URL | RequestListener | Server,
  delivery: SignedDelivery,
  path = '/webhook',
): Promise<DeliveryAnswer> {
  if (typeof to === 'string' || to instanceof URL) return post(new URL(to), delivery)
  const server = typeof to === 'function' ? createServer(to) : to
  const listened = server.listening
  if (!listened)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => {
        server.off('error', reject)
        resolve()
      })
    })
  try {
    const { port } = server.address() as AddressInfo
    return await post(new URL(path, `http://127.0.0.1:${port}`), delivery)
  } finally {
    if (!listened) await new Promise((resolve) => server.close(resolve))
  }
}

async function post(url: URL, { headers, body }: SignedDelivery): Promise<DeliveryAnswer> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS)
  const response = await fetch(url, { method: 'POST', headers, body, signal })
  return { status: response.status, body: parsed(await response.text()) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Settings for `createReceiver` with a simulated Reducto; all data is kept in `folder`. */
export function testSettings(reducto: Pick<Reducto, 'url' | 'apiKey'>, folder: string, secret: string) {
  return simulatedSettings(reducto, folder, secret)
}

/** How long to wait for the end of a job, ms. */
const END_TIMEOUT_MS = 10_000

/** How a job ended. `state`: `done`, or `dead` with the reason. */
export type JobEnd = { readonly state: 'done' | 'dead'; readonly reason: string | null }

/**
 * Resolves when a job is done or dead. Call it before the delivery: earlier events are missed. Rejects after `timeout`
 * ms (10 s), with the outcome of the last attempt.
 */
export function jobEnd(
  receiver: { readonly events: EventBus },
  jobId: string,
  timeout: number = END_TIMEOUT_MS,
): Promise<JobEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<JobEnd>()
  let last = 'no attempt was made'
  const timer = setTimeout(
    () => reject(new Error(`the job ${jobId} has not ended within ${timeout} ms: ${last}`)),
    timeout,
  )
  function onSettled(settled: Events['settled'][0]): void {
    if (settled.jobId !== jobId) return
    const { state, outcome } = settled
    const reason = 'reason' in outcome ? outcome.reason.message : null
    if (state === 'done' || state === 'dead') resolve({ state, reason })
    else last = `the last attempt: ${outcome.is}${reason === null ? '' : `, ${reason}`}`
  }
  receiver.events.on('settled', onSettled)
  return promise.finally(() => {
    clearTimeout(timer)
    receiver.events.off('settled', onSettled)
  })
}
