import { createHash } from 'node:crypto'
import { createFileResults } from '../../src/results/file.ts'
import { pieces, recordOf } from './saved.ts'

/**
 * What a service does with a folder of results that others use too, for ever: starts, clears away its own debris, and
 * saves jobs, some anew. A line for each step, so that it can be killed between any two. Arguments: folder, owner.
 */
const [root = '', owner = ''] = process.argv.slice(2)
const { signal } = new AbortController()
const results = createFileResults({ root, minFree: 0, owner })
await results.removeAbandonedDrafts(async () => true, signal)
for (let token = 1; ; token++) {
  const jobId = `job-${Math.floor(Math.random() * 12)}`
  const saved = await results.record(jobId, signal)
  const draft = await results.draft(jobId, token, { signal })
  let step = 'writing'
  try {
    const entries = []
    for (let index = 0; index < 3; index++) {
      const content = `${owner} ${token} ${index}`
      const written = await draft.write(`files/${index}.txt`, pieces(content))
      if (written.sha256 !== createHash('sha256').update(content).digest('hex')) throw new Error('another digest')
      entries.push({ in: 'job.json', pointer: `/${index}`, content_type: null, ...written })
      process.stdout.write('written\n')
    }
    const job = await draft.write('job.json', pieces(`${owner} ${token}`))
    const list = await draft.write('files.jsonl', pieces(...entries.map((entry) => `${JSON.stringify(entry)}\n`)))
    const record = recordOf(jobId, { job, files: { ...list, count: 3, failed: 0 } })
    step = 'committing'
    await draft.commit(record, { replace: saved !== null })
    process.stdout.write('committed\n')
  } catch (error) {
    // Two services replace one job's result at the same moment: one of them fails, and would try again.
    process.stdout.write(`failed while ${step}: ${error}\n`)
    await draft.discard()
  }
}
