/** A signal of one's own that aborts with any of some others, until it is let go. */
export type LinkedSignal = {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
  /** Takes the listeners off the others. */
  [Symbol.dispose](): void
}

/** A reason for signals that nobody asks for one: without any, each abort makes an error, with its stack. */
export const NO_REASON = Symbol('no reason')

/**
 * Aborts as soon as one of `sources` does, with its reason. Not AbortSignal.any: in Node 24 what that makes lives, with its
 * listeners, as long as the longest-lived source, and the service's own signal lives as long as the process.
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

/** Resolves when `signal` aborts, or rejects never; `dispose` takes its listener off. */
export function aborted(signal: AbortSignal): { readonly promise: Promise<void>; [Symbol.dispose](): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const listener = () => resolve()
  if (signal.aborted) resolve()
  else signal.addEventListener('abort', listener, { once: true })
  return { promise, [Symbol.dispose]: () => signal.removeEventListener('abort', listener) }
}
