import { DownloadError } from './error.ts'

/** The lifetime of one download: a signal of its own that follows the caller's until `end`. */
export type Lifetime = {
  readonly signal: AbortSignal
  /** Aborts the download. */
  abort(reason: DownloadError): void
  /** Releases the caller's signal. May be called twice. */
  end(): void
}

/**
 * Does not use `AbortSignal.any`: its signal lives as long as its longest source, and the caller's signal may be the
 * service's own.
 */
export function createLifetime(outer: AbortSignal): Lifetime {
  const controller = new AbortController()
  const interrupt = () =>
    controller.abort(new DownloadError('failed', 'the download was interrupted', { cause: outer.reason }))
  if (outer.aborted) interrupt()
  else outer.addEventListener('abort', interrupt, { once: true })
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    end: () => outer.removeEventListener('abort', interrupt),
  }
}

/**
 * Settles as `work` does, or rejects as soon as `signal` aborts: undici checks a signal only after it has connected. A
 * result that arrives later is passed to `drop`.
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal, drop: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    work
      .then((value) => (signal.aborted ? drop(value) : resolve(value)), reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}
