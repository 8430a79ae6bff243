import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { TEST_JOB_PREFIX } from '../job.ts'
import { openResults } from '../results/open.ts'
import type { NewRecord } from '../results/record.ts'
import { type Results, ResultsUnavailable } from '../results/results.ts'
import { describeResultsLocation } from '../settings/stores.ts'
import type { Check } from './context.ts'
import { findingOf, ok, problem } from './finding.ts'

/** Whether a result can be saved: one is, as the worker does it, and removed again. */
export const results: Check = {
  name: 'results',
  group: 'here',
  limit: 45_000,
  async run({ settings, now }, signal) {
    const choice = settings.get('results')
    const place = describeResultsLocation(choice)
    const isNew = choice.kind === 'file' && !existsSync(choice.path)
    try {
      const store = await openResults(choice, { minFree: settings.get('minFreeDisk') })
      await store.check(signal)
      await saveOnce(store, new Date(now()).toISOString(), signal)
      return findingOf([ok(`a result can be saved in ${place}`)])
    } catch (error) {
      if (!(error instanceof ResultsUnavailable)) throw error
      return findingOf([problem(`no result can be saved in ${place}: ${error.message}`, CURES[error.trouble])])
    } finally {
      if (isNew) await removeEmpty(choice.path)
    }
  },
}

/** Where no service has run yet, a look leaves no folder behind. One with anything in it stays. */
async function removeEmpty(folder: string): Promise<void> {
  for (const one of [join(folder, '.tmp'), folder]) await rmdir(one).catch(() => {})
}

const CURES: Readonly<Record<ResultsUnavailable['trouble'], string>> = {
  disk: 'make room on that disk; the service goes on by itself',
  busy: 'this process is out of file descriptors: raise the limit (ulimit -n)',
  results: 'let the service’s user write there; RESULTS_URL says where (for S3: the rights in docs/deployment.md)',
}

/** Everything that a commit does. What is there for a moment has the id of a test, and is gone even after a failure. */
async function saveOnce(store: Results, at: string, signal: AbortSignal): Promise<void> {
  const jobId = `${TEST_JOB_PREFIX}doctor-${randomBytes(8).toString('hex')}`
  const draft = await store.draft(jobId, 1, { signal })
  try {
    const job = await draft.write('job.json', bytesOf('{"status":"Completed","test":true}'))
    const files = await draft.write('files.jsonl', bytesOf(''))
    await draft.commit(recordOf(jobId, at, job, files), { replace: false })
    const saved = await store.record(jobId, signal)
    if (saved === null) throw new ResultsUnavailable('results', 'what was just saved cannot be read back')
  } finally {
    await draft.discard()
    await store.remove(jobId, signal)
  }
}

function recordOf(
  jobId: string,
  at: string,
  job: NewRecord['job'],
  files: Omit<NewRecord['files'], 'count' | 'failed'>,
): NewRecord {
  return {
    ...{ version: 1, job_id: jobId, status: 'Completed', type: null, reason: null, metadata: { test: true } },
    ...{ endpoint: 'default', endpoints: ['default'], round: 1, svix_id: null, received_at: at, fetched_at: at },
    ...{ complete: true, job, files: { ...files, count: 0, failed: 0 } },
  }
}

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}
