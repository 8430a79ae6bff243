/**
 * Calls `tell` with the exit code when the process ends before the returned function is called: a handler that calls
 * `process.exit` would else leave no trace of who did. Not told of an abort or a kill.
 */
export function watchExit(tell: (code: number) => void): () => void {
  // Before everybody else's: one of these writes out the log for the last time.
  process.prependListener('exit', tell)
  return () => void process.off('exit', tell)
}
