import { describe, expect, it } from 'vitest'
import { describeJob } from '../../src/cli/job-text.ts'
import type { JobDetail } from '../../src/inbox/inbox.ts'
import type { Task } from '../../src/job.ts'
import type { JobRecord } from '../../src/results/record.ts'
import { recordOf } from '../results/saved.ts'

const attempt = (task: Task, outcome: string) => ({
  startedAt: 0,
  ms: 5,
  task,
  outcome,
  reason: null,
  savedStatus: null,
  type: null,
  ...{ round: 1, calls: null, files: null, bytes: null, fetchMs: null, saveMs: null, handOverMs: null },
})

const job: JobDetail & { metadata: unknown } = {
  metadata: null,
  registered: { by: 'submit', at: 1_000 },
  isRunning: false,
  jobId: 'job-1',
  state: 'done',
  stage: 'hand_over',
  status: 'Completed',
  type: 'Parse',
  endpoint: 'default',
  failures: 0,
  crashes: 0,
  dueAt: 0,
  createdAt: 0,
  updatedAt: 0,
  reason: null,
  endpoints: ['default'],
  deliveries: [],
  round: 1,
  queuedAt: 0,
  actions: [],
  attempts: [attempt('side_files', 'retry'), attempt('hand_over', 'done'), attempt('fetch', 'saved')],
}

function lineOf(name: string, record: JobRecord | null): string | undefined {
  const line = describeJob(job, record, '/results')
    .split('\n')
    .find((one) => one.startsWith(name))
  return line?.slice(name.length).trim()
}

const saved = recordOf('job-1', { files: { path: 'files.jsonl', bytes: 9, sha256: 'x', count: 3, failed: 0 } })

describe('jobs show', () => {
  it('says who registered it, and nothing when nobody has', () => {
    expect(describeJob(job, null, 'data')).toMatch(/Registered +1970-01-01T00:00:01\.000Z .*, by submit/)
    expect(describeJob({ ...job, registered: null }, null, 'data')).not.toContain('Registered')
  })

  it('names what each attempt did', () => {
    const text = describeJob(job, null, '/results')
    expect(text).toMatch(/^ATTEMPT +TASK +OUTCOME/m)
    for (const task of ['side files +retry', 'hand over +done', 'fetch +saved']) expect(text).toMatch(new RegExp(task))
  })

  it('says who did something with it, and when', () => {
    const actions = [{ at: 0, who: 'cli:ada', role: 'cli', what: 'retry', round: 2 }] as const
    expect(describeJob({ ...job, actions }, null, '/results')).toMatch(/^1970-01-01T00:00:00.000Z .* retry +cli:ada$/m)
    expect(describeJob(job, null, '/results')).not.toMatch('ACTION')
  })

  it.each([
    ['all of it', {}, /^Parse · Completed, 2 \S+ and 3 files, in \/results\/job-1$/],
    [
      'some files missing',
      { complete: false, files: { ...saved.files, failed: 2 } },
      /and 3 files, 2 of them could not be downloaded, in/,
    ],
    ['bytes that nobody can read', { complete: false }, /and 3 files, not all of it readable, in/],
    [
      'what there was when it was given up',
      { complete: false, gave_up: { code: 'no_result', message: 'no result' }, files: { ...saved.files, failed: 1 } },
      /^incomplete, given up \(no_result\); what there is: .* 1 of them could not be downloaded, in/,
    ],
  ])('says of a result what it is: %s', (_name, change, expected) => {
    expect(lineOf('Result', { ...saved, ...change })).toMatch(expected)
  })

  it('shows a warning, and that nothing is saved', () => {
    expect(lineOf('Warning', { ...saved, warning: 'the answer is not JSON' })).toBe('the answer is not JSON')
    expect(lineOf('Warning', saved)).toBeUndefined()
    expect(lineOf('Result', null)).toBe('not saved')
  })
})
