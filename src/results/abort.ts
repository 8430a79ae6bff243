/** A time limit, and the error to throw when it is exceeded. */
export type Limit = { readonly ms: number; readonly error: () => Error }

/**
 * Runs `work` with a signal of its own, which aborts with `signal` or after `limit`. Rejects at once then, even when
 * `work` hangs. Leaves no listener on `signal`, however often it is called with the same one.
 */
export function withSignal<T>(
  signal: AbortSignal | undefined,
  work: (own: AbortSignal) => Promise<T>,
  limit?: Limit,
): Promise<T> {
  if (signal?.aborted) return Promise.reject(signal.reason)
  const own = new AbortController()
  return new Promise<T>((resolve, reject) => {
    const clear = () => {
      signal?.removeEventListener('abort', onAbort)
      clearTimeout(timer)
    }
    const end = (reason: unknown) => {
      clear()
      own.abort(reason)
      reject(reason)
    }
    const onAbort = () => end(signal?.reason)
    const timer = limit && setTimeout(() => end(limit.error()), limit.ms)
    signal?.addEventListener('abort', onAbort)
    work(own.signal).then(resolve, reject).finally(clear)
  })
}

/** Runs `work` and returns how often it called `count` until it ended or `signal` aborted. */
export async function countUntil(
  signal: AbortSignal | undefined,
  work: (own: AbortSignal, count: () => void) => Promise<void>,
): Promise<number> {
  let counted = 0
  await withSignal(signal, (own) => work(own, () => counted++)).catch((error) => {
    if (!signal?.aborted) throw error
  })
  return counted
}

/** Yields what `source` yields until `signal` aborts; then throws the signal's reason, even while `source` hangs. */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let isOver = false
  try {
    for (;;) {
      const next = await orAborted(signal, () => iterator.next())
      if (next.done) {
        isOver = true
        return
      }
      yield next.value
    }
  } catch (error) {
    isOver = !signal.aborted
    throw error
  } finally {
    // A consumer that stops early lets the source finish, as `for await` does; an interrupted source is not awaited.
    if (!isOver) await orAborted(signal, async () => iterator.return?.()).catch(() => {})
  }
}

/**
 * One step of `work`, or the signal's reason. Suited to many steps: a race with one long-lived promise would retain
 * every result.
 */
function orAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    const running = work()
    if (signal.aborted) {
      running.catch(() => {})
      return onAbort()
    }
    signal.addEventListener('abort', onAbort)
    running.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
