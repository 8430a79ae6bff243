import { describe, expect, it } from 'vitest'
import type { JobRow } from '../../src/inbox/inbox.ts'
import { MAX_LISTED_BODY_CHARS, withMetadata } from '../../src/operations/list.ts'
import { showJob } from '../../src/operations/show.ts'
import { delivery, testService } from '../support/service.ts'

const rows = Array.from({ length: 30 }, (_, index) => ({ jobId: `job-${index}` }) as JobRow)

function ledgerOf(body: string) {
  return { bodies: async (ids: readonly string[]) => ids.map(() => body) }
}

describe('metadata in a list', () => {
  it('is read with room between for what else the process does', async () => {
    let turns = 0
    const turnsAtRead: number[] = []

    const count = () => {
      turns++
      next = setImmediate(count)
    }
    let next = setImmediate(count)
    const metadataOf = () => void turnsAtRead.push(turns)
    await withMetadata({ ledger: ledgerOf('x'.repeat(MAX_LISTED_BODY_CHARS)), metadataOf }, rows)
    clearImmediate(next)

    // No two large ones in the same turn of the event loop.
    expect(new Set(turnsAtRead).size).toBe(rows.length)
  })

  it('is left out, and that is said, where one alone would hold up the list', async () => {
    const metadataOf = () => {
      throw new Error('was read')
    }
    const ledger = ledgerOf('x'.repeat(MAX_LISTED_BODY_CHARS + 1))
    const [listed] = await withMetadata({ ledger, metadataOf }, rows)
    expect(listed).toMatchObject({ metadata: null, isMetadataOmitted: true })
  })

  it('is whole in the job itself, and left out of pages and of the API’s lists alike', async () => {
    const service = await testService({ store: 'memory', env: { ADMIN_TOKEN: 'a-token-that-writes-1' } })
    const metadata = { note: 'x'.repeat(MAX_LISTED_BODY_CHARS) }
    await service.inbox.accept(delivery('large', { metadata }))
    await service.inbox.accept(delivery('small', { metadata: { note: 'y' } }))
    const headers = { authorization: 'Bearer a-token-that-writes-1' }
    const answer = await fetch(`${service.url}/api/jobs`, { headers })
    const listed = (await answer.json()) as { jobs: unknown[] }
    expect(listed.jobs).toMatchObject([
      { job_id: 'small', metadata: { note: 'y' } },
      { job_id: 'large', metadata: null, is_metadata_omitted: true },
    ])
    expect(listed.jobs[0]).not.toHaveProperty('is_metadata_omitted')
    expect(await (await fetch(`${service.url}/jobs`, { headers })).text()).toContain('too large for a list')
    expect(await (await fetch(`${service.url}/api/jobs/large`, { headers })).json()).toMatchObject({ metadata })
    const { inbox: ledger, results } = service
    const metadataOf = (body: string) => JSON.parse(body).metadata as unknown
    const shown = await showJob({ ledger, results, metadataOf }, 'large', new AbortController().signal)
    expect(shown).toMatchObject({ job: { metadata } })
  })
})
