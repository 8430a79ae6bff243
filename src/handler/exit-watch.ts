/**
 * Calls `onExit` with the exit code when the process exits before the returned function is called: a handler that calls
 * `process.exit` would otherwise leave no trace. Not called on an abort or a kill.
 */
export function watchExit(onExit: (code: number) => void): () => void {
  // Before all other listeners: one of them flushes the log for the last time.
  process.prependListener('exit', onExit)
  return () => void process.off('exit', onExit)
}
