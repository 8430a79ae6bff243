import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { createIndexer } from './indexer.ts'
import { openForReading } from './schema.ts'
import type { SearchRequest, SearchState, SearchThreadOptions } from './search-thread.ts'
import { databaseIdOf, openSideFile, sideFileOf } from './side-file.ts'

/** The thread's module: `.ts` like this one, `.js` in the built package. */
const THREAD = new URL(`./search-thread${extname(import.meta.filename)}`, import.meta.url)
/** How long a close waits for the step that is under way, ms: an index that is cut off is whole all the same. */
const MAX_CLOSE_MS = 500

export type Search = {
  /** Deletes what the index has of an erased job. Its words leave the file with the next `tidy`. */
  forget(jobId: string): void
  /** Takes out of the file what was deleted since. */
  tidy(): void
  close(): Promise<void>
}

/** Starts the thread that keeps the index. If that fails or the thread dies, search goes on without new entries. */
export function startSearch(options: SearchThreadOptions & { readonly onState: (state: SearchState) => void }): Search {
  const { onState, ...workerData } = options
  const worker = new Worker(THREAD, { workerData, name: 'sqlite-search' })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  worker.unref()
  worker.on('message', onState)
  worker.on('error', ({ message }: Error) =>
    onState({ indexed: 0, isTidy: false, trouble: `its thread ended: ${message}` }),
  )
  const send = (request: SearchRequest) => worker.postMessage(request)
  return {
    forget: (jobId) => send({ forget: jobId }),
    tidy: () => send({ tidy: true }),
    async close() {
      send({ close: true })
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, MAX_CLOSE_MS, 'late')
      })
      if ((await Promise.race([ended, late])) === 'late') void worker.terminate()
      clearTimeout(timer)
    },
  }
}

/**
 * The same beside a service, for a command. What cannot be done now (the file is being written for long, or is damaged) the
 * service does with its next look at all.
 */
export function forgetBeside(path: string, jobId: string): void {
  if (!existsSync(sideFileOf(path))) return
  try {
    using main = openForReading(path)
    const id = databaseIdOf(main)
    if (id === null) return
    using side = openSideFile(path, id, { mode: 'write' })
    createIndexer(main, side).forget(jobId)
  } catch {
    // See above.
  }
}
