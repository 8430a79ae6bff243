import { type IncomingMessage, request as overHttp, type RequestOptions } from 'node:http'
import { request as overHttps } from 'node:https'
import { causesOf } from '../causes.ts'
import { codeOf, memberOf } from '../error-text.ts'
import { explainError } from '../explain-error.ts'
import { PROOF_HEADER } from '../proof.ts'
import { adviceOnFailure } from './advice.ts'

/** One request as Svix sends it: straight, over a connection of its own, with no redirect followed. */

/** Svix waits as long for an answer, ms. */
export const SVIX_TIMEOUT_MS = 15_000
/** The service's answers are small; of a proxy's page the beginning is enough, bytes. */
const MAX_ANSWER_BYTES = 64 * 1024

export type Call = {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signal: AbortSignal
  readonly timeout?: number
  readonly maxBytes?: number
}

export type CallAnswer = {
  readonly status: number
  readonly body: string
  readonly contentType: string
  readonly location: string | null
  readonly allow: string | null
  /** What shows that this service answered. */
  readonly proof: string | null
  readonly ms: number
}

/** There was no answer. `cure` says what that means. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed'
  readonly code: string
  readonly cure: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
    this.cure = adviceOnFailure(code)
  }
}

/**
 * Resolves to the answer with the beginning of its body, whatever the other side sends, within `timeout` ms.
 * @throws CallFailed
 */
export async function call(url: URL, options: Call): Promise<CallAnswer> {
  const timeout = options.timeout ?? SVIX_TIMEOUT_MS
  const late = AbortSignal.timeout(timeout)
  const signal = AbortSignal.any([late, options.signal])
  const began = performance.now()
  try {
    const response = await send(url, options, signal)
    const body = await startOf(response, options.maxBytes ?? MAX_ANSWER_BYTES)
    const header = (name: string) => {
      const value = response.headers[name]
      return typeof value === 'string' ? value : null
    }
    return {
      status: response.statusCode ?? 0,
      body,
      contentType: header('content-type') ?? '',
      location: header('location'),
      allow: header('allow'),
      proof: header(PROOF_HEADER),
      ms: Math.round(performance.now() - began),
    }
  } catch (error) {
    if (late.aborted) throw new CallFailed('TimeoutError', `no answer within ${timeout / 1000} s`)
    throw failureOf(error)
  }
}

function send(url: URL, { method = 'GET', headers = {}, body }: Call, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const options: RequestOptions = { method, signal, agent: false, headers: { ...headers, ...length } }
  const request = (url.protocol === 'https:' ? overHttps : overHttp)(url, options, resolve)
  request.on('error', reject)
  // A 101 nobody asked for, and a connection that ends in between, come without an error.
  request.on('close', () => reject(new CallFailed('ECONNRESET', 'the connection ended without an answer')))
  // Who refuses a large body answers before it was sent.
  request.end(body)
  return promise
}

/** An answer may be without end, or break off. */
async function startOf(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= maxBytes) break
    }
  } finally {
    response.destroy()
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString()
}

/** What an error of a connection says. */
export function failureOf(error: unknown): CallFailed {
  if (error instanceof CallFailed) return error
  const codes = causesOf(error).map((cause) => codeOf(cause) ?? '')
  const code = codes.findLast((one) => /^[A-Z_]{4,}/.test(one)) ?? String(memberOf(error, 'name'))
  return new CallFailed(code, explainError(error))
}
