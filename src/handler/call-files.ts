import { addAbortSignal } from 'node:stream'
import type { Results } from '../results/results.ts'

/** The saved files that one call of a handler opens. */
export type CallFiles = {
  /** As the store's; throws once the call is over. */
  readonly open: (jobId: string, path: string) => ReturnType<Results['open']>
  /** Destroys what is still open, and what the store still opens. */
  end(): void
}

/**
 * Opens files for one call. A handler may leave a stream unread, and each holds a descriptor or a connection: they all end
 * with the call, however it ends.
 */
export function createCallFiles(results: Pick<Results, 'open'>): CallFiles {
  const call = new AbortController()
  return {
    async open(jobId, path) {
      call.signal.throwIfAborted()
      const file = await results.open(jobId, path, call.signal)
      if (file === null) return null
      // Whoever reads it gets the error; a stream that nobody reads any more must not end the process with it.
      file.body.on('error', () => {})
      addAbortSignal(call.signal, file.body)
      return file
    },
    end: () => call.abort(new Error('the call of the handler is over')),
  }
}
