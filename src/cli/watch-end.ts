import { hasReaderLeft } from './broken-pipe.ts'

/** How a command's end is watched. */
export type EndWatch = {
  /** Is told of an end that is not the command's own, with its exit code. */
  readonly tell: (code: number) => void
  /** Runs last, however the process ends. */
  readonly finish?: () => void
}

/**
 * Tells when something else ends the process than the command itself: a `process.exit` in a handler or a package of it,
 * also where nothing is left to wait for. Such an end is never exit 0: whoever waits for this process would take it for
 * success. Returns what tells that the end is the command's own.
 */
export function watchEnd({ tell, finish = () => {} }: EndWatch): () => void {
  let ours = false
  // A promise that never settles does not hold the process, and Node would end it without a word of why.
  const holder = setInterval(() => {}, 2 ** 30)
  process.on('exit', (code) => {
    if (!ours && !hasReaderLeft()) {
      // The last word: what comes later may set it again.
      if (code === 0) process.exitCode = 1
      tell(code)
    }
    finish()
  })
  return () => {
    ours = true
    clearInterval(holder)
    finish()
  }
}
