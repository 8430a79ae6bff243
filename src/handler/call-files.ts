import { addAbortSignal } from 'node:stream'
import type { Results } from '../results/results.ts'

/** The saved files that one call of a handler opens. */
export type CallFiles = {
  /** As the store's `open`; throws once the call has ended. */
  readonly open: (jobId: string, path: string) => ReturnType<Results['open']>
  /** Destroys open files, and files that the store is still opening. */
  end(): void
}

/**
 * Opens files for one call. A handler may leave a stream unread, and each stream holds a descriptor or a connection:
 * all of them end with the call, however it ends.
 */
export function createCallFiles(results: Pick<Results, 'open'>): CallFiles {
  const call = new AbortController()
  return {
    async open(jobId, path) {
      call.signal.throwIfAborted()
      const file = await results.open(jobId, path, call.signal)
      if (file === null) return null
      // A reader gets the error; without a reader it must not exit the process.
      file.body.on('error', () => {})
      addAbortSignal(call.signal, file.body)
      return file
    },
    end: () => call.abort(new Error('the call of the handler has ended')),
  }
}
