import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createFileResults } from '../../src/results/file.ts'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { tempFolder } from '../support/temp.ts'
import { pieces, recordOf, resultsContract } from './contract.ts'

resultsContract('results in files', async (root) => createFileResults({ root, minFree: 0 }))

describe('results in files', () => {
  it('lie under the job’s id, readable by people and scripts', async () => {
    const root = tempFolder()
    const results = createFileResults({ root, minFree: 0 })
    const draft = await results.draft('job-1', 1)
    await draft.write('job.json', pieces('{}'))
    const record = recordOf('job-1')
    await draft.commit(record, { replace: false })
    expect(readdirSync(join(root, 'job-1')).sort()).toEqual(['job.json', 'record.json'])
    expect(readFileSync(join(root, 'job-1', 'record.json'), 'utf8')).toBe(`${JSON.stringify(record, null, 2)}\n`)
    expect(readdirSync(join(root, '.tmp'))).toEqual([])
  })

  it('brings back the old result when the process died between moving it away and the new one in', async () => {
    const root = tempFolder()
    const results = createFileResults({ root, minFree: 0 })
    const draft = await results.draft('job-1', 1)
    await draft.commit(recordOf('job-1'), { replace: false })
    renameSync(join(root, 'job-1'), join(root, '.tmp', 'job-1.replaced'))
    await results.tidy()
    expect(await results.record('job-1')).not.toBeNull()
  })

  it('takes a folder without a record, or with a broken one, for no result', async () => {
    const root = tempFolder()
    const results = createFileResults({ root, minFree: 0 })
    for (const [jobId, text] of [
      ['none', null],
      ['empty', ''],
      ['half', '{"version":1,'],
      ['other', '{"version":2}'],
    ] as const) {
      mkdirSync(join(root, jobId))
      writeFileSync(join(root, jobId, 'stale'), 'x')
      if (text !== null) writeFileSync(join(root, jobId, 'record.json'), text)
      expect(await results.record(jobId)).toBeNull()
      expect(await (await results.draft(jobId, 1)).commit(recordOf(jobId), { replace: false })).toBe(true)
      expect(await results.record(jobId)).not.toBeNull()
      expect(existsSync(join(root, jobId, 'stale'))).toBe(false)
    }
  })

  it('tells too little room from other trouble', async () => {
    const full = createFileResults({ root: tempFolder(), minFree: Number.MAX_SAFE_INTEGER })
    await expect(full.check()).rejects.toMatchObject({
      trouble: 'disk',
      message: expect.stringContaining('MIN_FREE_DISK'),
    })
    const root = join(tempFolder(), 'file')
    writeFileSync(root, 'in the way')
    const blocked = createFileResults({ root, minFree: 0 })
    for (const run of [() => blocked.check(), () => blocked.draft('job-1', 1)]) {
      const error = await run().catch((thrown) => thrown)
      expect(error).toBeInstanceOf(ResultsUnavailable)
      expect(error).toMatchObject({ trouble: 'results' })
    }
  })
})
