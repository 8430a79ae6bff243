import { createHash } from 'node:crypto'
import { NONCE_HEADER, type Prover } from '../proof.ts'
import { newMessageId, sign, signatureHeaders } from '../signing.ts'
import { type CallAnswer, call } from './call.ts'

/** A signed delivery that the service looks at and does not record, and how it says it arrived. */

/** How a delivery arrived; all of it as the service says. */
export type Echo = {
  readonly endpoint: string
  readonly version: string
  readonly signature: string
  readonly bytes: number
  readonly sha256: string
  readonly headerNames: readonly string[]
  readonly headers: Readonly<Record<string, unknown>>
}

export type Probed = {
  readonly sent: { readonly body: string; readonly headers: Readonly<Record<string, string>> }
  readonly got: CallAnswer
  /** Whether this service answered. */
  readonly isOurs: boolean
  /** Null when what came back is not what the service answers to a probe. */
  readonly echo: Echo | null
}

export type ProbeOptions = {
  readonly prover: Prover
  readonly secrets: readonly string[]
  readonly body: string
  readonly now: number
  readonly signal: AbortSignal
  readonly timeout?: number
}

/** @throws CallFailed */
export async function sendProbe(url: URL, options: ProbeOptions): Promise<Probed> {
  const { prover, secrets, body, now, signal, timeout } = options
  const asked = prover.probe(now)
  const signed = signatureHeaders(sign(newMessageId(), new Date(now), body, secrets))
  const headers = { ...signed, 'content-type': 'application/json', [NONCE_HEADER]: asked.header }
  const got = await call(url, { method: 'POST', headers, body, signal, ...(timeout === undefined ? {} : { timeout }) })
  const isOurs = got.proof === asked.proof
  return { sent: { body, headers: signed }, got, isOurs, echo: isOurs ? echoOf(got) : null }
}

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function echoOf({ status, body }: CallAnswer): Echo | null {
  if (status !== 200 && status !== 401) return null
  try {
    const { probe } = JSON.parse(body) as { probe?: Record<string, unknown> }
    if (typeof probe !== 'object' || probe === null) return null
    const text = (name: string) => String(probe[name] ?? '')
    const { header_names: names, headers } = probe
    return {
      endpoint: text('endpoint'),
      version: text('version'),
      signature: text('signature'),
      bytes: Number(probe.bytes),
      sha256: text('sha256'),
      headerNames: Array.isArray(names) ? names.map(String) : [],
      headers: typeof headers === 'object' && headers !== null ? (headers as Record<string, unknown>) : {},
    }
  } catch {
    return null
  }
}
