import { rmSync } from 'node:fs'
import type { Settings, Tried } from '../../doctor/context.ts'
import { callInThread, loadInThread } from '../handle/run-thread.ts'
import { sample } from '../handle/saved.ts'

/** The kind of job that most handlers are written for. */
const SAMPLE = 'extract'

/** Tries the handler as `handle` does: in a thread of its own, on a made-up result in a temporary folder. */
export function createHandlerTrial(options: { readonly settings: Settings; readonly secrets: readonly string[] }) {
  const folders: string[] = []

  function dataFor(path: string) {
    const timeout = options.settings.get('handlerTimeout')
    return { path, timeout, secrets: options.secrets, level: 'silent', terminal: false }
  }

  return {
    async call(path: string): Promise<Tried> {
      const called = await callInThread(dataFor(path), async () => {
        const { config, record } = await sample(SAMPLE, folders, { test: true })
        return { jobId: record.job_id, results: config.results, minFree: config.minFreeDisk }
      })
      if (called.is === 'failed') return called
      const { handed, ms } = called
      return { is: handed.is, message: 'reason' in handed ? handed.reason.message : null, ms }
    },
    load: (path: string): Promise<string | null> => loadInThread(dataFor(path)),
    /** Removes the samples. */
    clear(): void {
      for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
