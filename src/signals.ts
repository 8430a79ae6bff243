/** A signal that aborts with any of several others, until it is disposed. */
export type LinkedSignal = {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
  /** Removes the listeners from the others. */
  [Symbol.dispose](): void
}

/** A reason for signals whose reason nobody reads: without one, each abort creates an error with a stack. */
export const NO_REASON = Symbol('no reason')

/**
 * Aborts as soon as one of `sources` does, with its reason. Does not use AbortSignal.any: in Node 24 its signal and
 * listeners live as long as the longest-lived source, and the service's own signal lives as long as the process.
 */
export function linkSignals(...sources: readonly AbortSignal[]): LinkedSignal {
  const controller = new AbortController()
  const listeners = sources.map((source) => {
    const listener = () => controller.abort(source.reason)
    if (source.aborted) listener()
    else source.addEventListener('abort', listener, { once: true })
    return { source, listener }
  })
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]() {
      for (const { source, listener } of listeners) source.removeEventListener('abort', listener)
    },
  }
}

/** Resolves when `signal` aborts, and never rejects; `dispose` removes its listener. */
export function aborted(signal: AbortSignal): { readonly promise: Promise<void>; [Symbol.dispose](): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const listener = () => resolve()
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', listener, { once: true })
  return { promise, [Symbol.dispose]: () => signal.removeEventListener('abort', listener) }
}

/** Whether `work` ended within this time: a hanging disk, bucket or database must not outlast the grace. */
export async function withinMs(ms: number, work: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const timer = setTimeout(late.resolve, ms, false)
  try {
    return await Promise.race([work.then(() => true), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
