import { parseArgs } from 'node:util'
import { soak, type Way } from './soak.ts'

/** `npm run soak [-- --jobs 20000]`: half of the jobs through a module, half through forwards. */

const { values } = parseArgs({ options: { jobs: { type: 'string', default: '20000' } } })
const mib = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`

for (const way of ['module', 'forward'] as const satisfies readonly Way[]) {
  const { done, early, late } = await soak(Number(values.jobs) / 2, way)
  process.stdout.write(
    `${way}: ${done} jobs; memory ${mib(early.rss)} → ${mib(late.rss)}, descriptors ${early.descriptors} → ${late.descriptors}, log ${mib(early.log)} → ${mib(late.log)}\n`,
  )
}
