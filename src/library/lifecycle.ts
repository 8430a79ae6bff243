/** A started thing, and how to stop it. */
type Started = { stop(): Promise<void> }

/**
 * Starts and stops one thing. The calls may come in any order and number: the last request takes effect in the end, and
 * there are never two instances at once.
 */
export function createLifecycle(begin: (signal: AbortSignal) => Promise<Started>) {
  let current: { readonly started: Promise<Started>; readonly ending: AbortController } | null = null
  let stopping: Promise<void> | null = null

  function start(): Promise<void> {
    current ??= startAfter(stopping)
    return current.started.then(() => {})
  }

  function startAfter(stop: Promise<void> | null) {
    const ending = new AbortController()
    const started = run(stop, ending.signal)
    const own = { started, ending }
    // A failed start does not prevent another one.
    started.catch(() => {
      if (current === own) current = null
    })
    return own
  }

  async function run(stop: Promise<void> | null, signal: AbortSignal): Promise<Started> {
    await stop?.catch(() => {})
    if (signal.aborted) throw stopped()
    try {
      return await begin(signal)
    } catch (error) {
      throw signal.aborted ? stopped(error) : error
    }
  }

  function stop(): Promise<void> {
    if (current === null) return stopping ?? Promise.resolve()
    const { started, ending } = current
    current = null
    ending.abort()
    const stop = started
      .then(
        (one) => one.stop(),
        () => {},
      )
      .finally(() => {
        if (stopping === stop) stopping = null
      })
    stopping = stop
    return stop
  }

  return { start, stop }
}

function stopped(cause?: unknown): Error {
  return new Error('the receiver was stopped while it started', { cause })
}
