/** A call took longer than it may, or the service stops. */
export class TimeUp extends Error {}

/**
 * Runs a call for `ms` at most, and no longer than until `signal` aborts. Throws TimeUp then, whether the call heeds the
 * signal that it gets or not. Holds the process meanwhile: a command has nothing else that does.
 */
export async function withinTime<T>(
  ms: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), ms)
  const either = AbortSignal.any([signal, late.signal])
  const aborted = new Promise<never>((_, reject) => {
    const end = () => reject(new TimeUp())
    if (either.aborted) end()
    else either.addEventListener('abort', end, { once: true })
  })
  try {
    return await Promise.race([run(either), aborted])
  } finally {
    clearTimeout(timer)
  }
}
