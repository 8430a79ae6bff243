/** A call exceeded its time limit, or the service stops. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
}

/** Node fires timers of more than 2^31-1 ms (24.8 days) at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Runs a call for at most `ms`, and no longer than until `signal` aborts. Throws TimeoutError then, whether the call
 * observes its signal or not. Keeps the process alive meanwhile: a command has nothing else that does.
 *
 * Leaves nothing on `signal`, which lives as long as the service: no listener, and no `AbortSignal.any`, which Node 24
 * keeps as long as its longest source. Of a call that never ends only what the call itself holds remains.
 */
export async function withTimeout<T>(
  ms: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal.aborted) throw new TimeoutError()
  const ending = new AbortController()
  const end = () => ending.abort()
  const timer = setTimeout(end, Math.min(ms, MAX_TIMER_MS))
  signal.addEventListener('abort', end, { once: true })
  try {
    return await untilAborted(ending.signal, () => run(ending.signal))
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}

type Waiting<T> = { readonly resolve: (value: T) => void; readonly reject: (error: unknown) => void }

/** A race that releases the loser: a promise that never settles retains everything that waits for it. */
function untilAborted<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  const race: { waiting: Waiting<T> | null } = { waiting: null }
  return new Promise<T>((resolve, reject) => {
    race.waiting = { resolve, reject }
    signal.addEventListener('abort', () => settle(race, (waiting) => waiting.reject(new TimeoutError())), {
      once: true,
    })
    follow(race, run)
  })
}

/** A separate function: its closures hold the race, and nothing else of the call. */
function follow<T>(race: { waiting: Waiting<T> | null }, run: () => Promise<T>): void {
  begin(run).then(
    (value) => settle(race, (waiting) => waiting.resolve(value)),
    (error) => settle(race, (waiting) => waiting.reject(error)),
  )
}

/** An error that the call throws before its first await counts as its failure, too. */
async function begin<T>(run: () => Promise<T>): Promise<T> {
  return run()
}

function settle<T>(race: { waiting: Waiting<T> | null }, how: (waiting: Waiting<T>) => void): void {
  const { waiting } = race
  race.waiting = null
  if (waiting) how(waiting)
}
