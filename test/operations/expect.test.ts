import { describe, expect, it } from 'vitest'
import { openMemory } from '../../src/inbox/memory/inbox.ts'
import { expectJob, MAX_METADATA_BYTES, MAX_METADATA_DEPTH } from '../../src/operations/expect.ts'
import { metadataOf } from '../../src/receive/metadata.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { delivery } from '../support/service.ts'

const open = () => ({ ledger: openMemory({ clock: createManualClock() }), endpoints: ['default', 'dev'] })

function nested(depth: number): unknown {
  return depth === 0 ? 1 : { a: nested(depth - 1) }
}

describe('expectJob', () => {
  it('registers a job once, and says when a delivery was faster', async () => {
    const deps = open()
    expect(await expectJob(deps, 'job-1', { metadata: [1], endpoint: 'dev' }, 'api')).toEqual({
      is: 'expected',
      jobId: 'job-1',
    })
    await deps.ledger.accept(delivery('job-2'))
    expect(await expectJob(deps, 'job-2', {}, 'api')).toEqual({ is: 'known', jobId: 'job-2' })
  })

  it.each([
    ['an id that is a path', '../jobs', {}],
    ['no id', undefined, {}],
    ['an endpoint that there is not', 'job-1', { endpoint: 'staging' }],
    ['an endpoint that is no name', 'job-1', { endpoint: '../x' }],
    ['an endpoint that is no text', 'job-1', { endpoint: 7 as unknown as string }],
    ['metadata that is no JSON', 'job-1', { metadata: () => 1 }],
    ['a BigInt in metadata', 'job-1', { metadata: { n: 1n } }],
    ['metadata that is too large', 'job-1', { metadata: 'x'.repeat(MAX_METADATA_BYTES) }],
    ['metadata that is too deep', 'job-1', { metadata: nested(MAX_METADATA_DEPTH + 1) }],
  ])('refuses %s, and records nothing', async (_, jobId, given) => {
    const deps = open()
    expect(await expectJob(deps, jobId, given, 'api')).toMatchObject({ is: 'refused', code: 'invalid' })
    expect((await deps.ledger.stats()).jobs.expected).toBe(0)
  })

  it('refuses metadata that contains itself', async () => {
    const metadata: Record<string, unknown> = {}
    metadata.self = metadata
    expect(await expectJob(open(), 'job-1', { metadata }, 'api')).toMatchObject({ is: 'refused' })
  })

  it.each([
    ['the deepest', nested(MAX_METADATA_DEPTH)],
    ['the largest', 'x'.repeat(MAX_METADATA_BYTES - 2)],
    ['text', 'Ada'],
    ['a list', [1, null]],
    ['false', false],
  ])('keeps what is allowed as it is: %s', async (_, metadata) => {
    const deps = open()
    expect(await expectJob(deps, 'job-1', { metadata }, 'api')).toMatchObject({ is: 'expected' })
    const [body] = await deps.ledger.bodies(['job-1'])
    expect(metadataOf(body!)).toEqual(metadata)
  })
})
