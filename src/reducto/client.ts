import Reducto from 'reductoai'
import type { Fetch } from 'reductoai/core'
import { AnswerTooLarge } from './errors.ts'

export type ReductoOptions = {
  readonly apiKey: string
  readonly baseUrl: string
  /** One deadline for a whole call, body included, ms. */
  readonly timeout?: number
}

/** The policy's deadline for a call. The SDK's own default is an hour, and covers the headers only. */
const TIMEOUT = 30_000
/** Reducto sends larger results by URL: about 6 MB is the most that comes inline. */
const LARGEST_ANSWER = 64 * 1024 * 1024

/** A Reducto client, and the deadline that each call must be given. */
export type Client = {
  readonly sdk: Reducto
  /** A fresh signal for one call: the SDK never takes its listener off. */
  deadline(signal: AbortSignal): AbortSignal
}

/**
 * The SDK as it can be trusted: no retries of its own (they ignore a signal, and double submissions), an explicit base
 * URL (it would read one from the environment), and the platform's fetch (its own hangs on a broken-off answer).
 */
export function createClient(options: ReductoOptions): Client {
  const timeout = options.timeout ?? TIMEOUT
  const sdk = new Reducto({
    apiKey: options.apiKey,
    baseURL: options.baseUrl,
    fetch: cappedFetch as unknown as Fetch,
    maxRetries: 0,
    timeout,
  })
  return { sdk, deadline: (signal) => AbortSignal.any([signal, AbortSignal.timeout(timeout)]) }
}

/** Caps every answer, also those that the SDK reads itself to make an error of; follows no redirect with the key. */
async function cappedFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'manual' })
  if (!response.body) return response
  let bytes = 0
  const cap = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength
      if (bytes > LARGEST_ANSWER)
        controller.error(new AnswerTooLarge(`the answer is larger than ${LARGEST_ANSWER} bytes`))
      else controller.enqueue(chunk)
    },
  })
  return new Response(response.body.pipeThrough(cap), { status: response.status, headers: response.headers })
}
