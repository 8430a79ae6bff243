import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Starts PostgreSQL when a test asks for it.
    globalSetup: ['test/support/postgres-broker.ts'],
    // As bin.js does: every thread of a service would otherwise strip the types of its modules again, for each test.
    env: { NODE_COMPILE_CACHE: resolve(import.meta.dirname, 'node_modules/.cache/node') },
    // For two cores: a worker waits for sockets, syncs and processes of its own for most of its time.
    maxWorkers: 4,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
