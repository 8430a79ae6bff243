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

/**
 * Runs `clear` at the first SIGTERM, SIGINT or SIGHUP and then lets the signal end the process, as it would without a listener.
 * Returns what takes the listeners off.
 */
export function endBySignal(clear: () => void): () => void {
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
  const heard = (signal: NodeJS.Signals) => {
    try {
      clear()
    } finally {
      off()
      process.kill(process.pid, signal)
    }
  }
  const off = () => {
    for (const signal of signals) process.off(signal, heard)
  }
  for (const signal of signals) process.on(signal, heard)
  return off
}
