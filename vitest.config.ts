import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take minutes, in small files: without this they would be the last to start, and run alone in the end. */
const SLOW = /\/(torture|doctor|reconcile\/week|e2e\/fleet|[^/]+\.browser)\b/

class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isSlow = ({ moduleId }: TestSpecification) => SLOW.test(moduleId)
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))]
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Starts PostgreSQL when a test asks for it.
    globalSetup: ['test/support/postgres-broker.ts'],
    // As bin.js does: every thread of a service would otherwise strip the types of its modules again, for each test.
    env: { NODE_COMPILE_CACHE: resolve(import.meta.dirname, 'node_modules/.cache/node') },
    // For two cores: a worker waits for sockets, syncs and processes of its own for most of its time.
    maxWorkers: 4,
    sequence: { sequencer: SlowFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
