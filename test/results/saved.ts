import type { JobRecord, NewRecord } from '../../src/results/record.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'

export function recordOf(jobId: string, change: Partial<Omit<JobRecord, 'gave_up'>> = {}): NewRecord {
  return {
    version: 1,
    job_id: jobId,
    status: 'Completed',
    type: 'Parse',
    metadata: null,
    endpoint: 'default',
    endpoints: ['default'],
    round: 1,
    svix_id: 'msg_1',
    received_at: '2026-01-01T00:00:00.000Z',
    fetched_at: '2026-01-01T00:00:01.000Z',
    complete: true,
    job: { path: 'job.json', bytes: 2, sha256: 'x' },
    files: { path: 'files.jsonl', bytes: 0, sha256: 'x', count: 0, failed: 0 },
    ...change,
    reason: change.reason ? createScrub([])(change.reason) : null,
  }
}

export async function* pieces(...texts: string[]): AsyncIterable<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}
