import { describe, expect, it } from 'vitest'
import type { JobDetail, Ledger } from '../../src/inbox/inbox.ts'
import type { JobState } from '../../src/job.ts'
import { eraseJob } from '../../src/operations/erase.ts'
import { ResultsUnavailable } from '../../src/results/results.ts'

type Erased = Awaited<ReturnType<Ledger['erase']>>

/** Erases a job that stands as `state`; `removals`: what each removal of its files throws. `did` is what was done. */
async function run(state: JobState | null, erased: Erased, ...removals: (Error | null)[]) {
  const did: string[] = []
  const deps = {
    ledger: {
      get: async () =>
        state === null ? null : ({ jobId: 'job-1', state, isRunning: state === 'running' } as JobDetail),
      erase: async () => {
        did.push('erase')
        return erased
      },
    },
    results: {
      remove: async () => {
        did.push('remove')
        const error = removals.shift()
        if (error) throw error
      },
    },
  } satisfies Parameters<typeof eraseJob>[0]
  const told = await eraseJob(deps, 'job-1', new AbortController().signal)
  return { told: told?.why ?? null, did }
}

const down = new ResultsUnavailable('results', 'S3: AccessDenied (DeleteObject)')

describe('a job is erased', () => {
  it('with its files first, and once more what a worker saved in between', async () => {
    expect(await run('done', 'erased')).toEqual({ told: null, did: ['remove', 'erase', 'remove'] })
  })

  it('not at all while it runs, or when there is none', async () => {
    expect(await run('running', 'running')).toEqual({
      told: 'is being worked on: try again in a moment',
      did: [],
    })
    expect(await run(null, 'unknown')).toEqual({ told: 'there is no such job', did: [] })
  })

  it('not in the inbox either while its files cannot be removed, and this is told', async () => {
    const { told, did } = await run('done', 'erased', down)
    expect(told).toBe(
      'is not erased: its files could not be removed (S3: AccessDenied (DeleteObject)); delete it again',
    )
    expect(did).toEqual(['remove'])
  })

  it('only when what came in between is removed as well', async () => {
    const { told } = await run('queued', 'erased', null, down)
    expect(told).toContain('its files could not be removed')
  })

  it('not when it begins to run meanwhile, and what has become of its files is told', async () => {
    const { told, did } = await run('queued', 'running')
    expect(told).toContain('is not erased: it is being worked on, which may save again the files')
    expect(did).toEqual(['remove', 'erase'])
  })
})
