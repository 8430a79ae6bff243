import Reducto from 'reductoai'
import type { Fetch as SdkFetch } from 'reductoai/core'
import type { Fetch } from '../outbound/fetch.ts'
import { AnswerTooLarge, ReductoError } from './errors.ts'

export type ReductoOptions = {
  readonly apiKey: string
  readonly baseUrl: string
  /** Deadline of a whole call, including the body, ms. */
  readonly timeout?: number
  /** The outbound fetch, with or without a proxy; default: the platform's own. */
  readonly fetch?: Fetch
}

/** The deadline of a call, ms. The SDK's default is an hour and covers only the headers. */
const TIMEOUT_MS = 30_000
/** Reducto sends larger results by URL: at most about 6 MB are sent inline. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** Maximum bytes of an error page: its first lines say what happened, and the SDK reads all of it. */
const MAX_ERROR_BYTES = 64 * 1024

/** A Reducto client and the function that calls it. */
export type Client = {
  readonly sdk: Reducto
  /**
   * Makes one call: `run` gets a fresh signal, which aborts with `signal` or at the deadline, and must pass it to the
   * SDK. The call rejects then, whatever `run` does. Afterwards no listener is left on `signal` (the SDK never removes
   * its own).
   */
  call<T>(signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T>
}

/**
 * The SDK, restricted to what can be trusted: no retries of its own (they ignore a signal and submit twice), an
 * explicit base URL (it would read one from the environment), and a standard fetch (its own hangs on a truncated
 * answer).
 */
export function createClient(options: ReductoOptions): Client {
  const timeout = options.timeout ?? TIMEOUT_MS
  const sdk = new Reducto({
    apiKey: options.apiKey,
    baseURL: options.baseUrl,
    fetch: capped(options.fetch ?? ((url, init) => fetch(url, init))) as unknown as SdkFetch,
    maxRetries: 0,
    timeout,
  })
  return { sdk, call: (signal, run) => withDeadline(timeout, signal, run) }
}

async function withDeadline<T>(
  timeout: number,
  outer: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // The SDK does not check whether its signal has already aborted.
  if (outer.aborted) throw interrupted()
  const controller = new AbortController()
  const ended = Promise.withResolvers<never>()
  const end = (error: ReductoError) => {
    ended.reject(error)
    controller.abort()
  }
  const interrupt = () => end(interrupted())
  const late = () => end(new ReductoError('failed', `no answer from Reducto within ${timeout} ms`))
  const timer = setTimeout(late, timeout)
  outer.addEventListener('abort', interrupt, { once: true })
  try {
    return await Promise.race([ended.promise, run(controller.signal)])
  } catch (error) {
    // Frees the connection of a call that failed midway.
    controller.abort()
    throw error
  } finally {
    clearTimeout(timer)
    outer.removeEventListener('abort', interrupt)
  }
}

function interrupted(): ReductoError {
  return new ReductoError('failed', 'the call to Reducto was interrupted')
}

/** Limits every answer, including those that the SDK reads to build an error; follows no redirect with the key. */
function capped(outbound: Fetch): Fetch {
  return async (url, init) => {
    // A body that is a stream is sent as it is read; fetch wants that said.
    const how = isStream(init?.body) ? { ...init, duplex: 'half' as const } : init
    const response = await outbound(url, { ...how, redirect: 'manual' })
    const { body, status, headers, ok } = response
    if (!body) return response
    if (ok && Number(headers.get('content-length') ?? 0) > MAX_ANSWER_BYTES) {
      await body.cancel()
      throw tooLarge()
    }
    return new Response(body.pipeThrough(ok ? failAfter(MAX_ANSWER_BYTES) : cutAfter(MAX_ERROR_BYTES)), {
      status,
      headers,
    })
  }
}

function isStream(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body
}

function failAfter(most: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength
      if (bytes > most) controller.error(tooLarge())
      else controller.enqueue(chunk)
    },
  })
}

function cutAfter(most: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength
      if (bytes > most) controller.terminate()
      else controller.enqueue(chunk)
    },
  })
}

function tooLarge(): AnswerTooLarge {
  return new AnswerTooLarge(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`)
}
