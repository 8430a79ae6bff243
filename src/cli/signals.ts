/** Ctrl-C in a terminal often arrives twice, once through npm: within this time it is one wish, ms. */
const SAME_WISH_MS = 1_000

/** Calls `first` for the first SIGTERM or SIGINT, and `again` for one that comes more than a second later. */
export function onStopSignals(first: (signal: NodeJS.Signals) => void, again: () => void): void {
  let wished: number | null = null
  const heard = (signal: NodeJS.Signals) => {
    const now = performance.now()
    if (wished === null) {
      wished = now
      first(signal)
    } else if (now - wished > SAME_WISH_MS) again()
  }
  process.on('SIGTERM', heard)
  process.on('SIGINT', heard)
}
