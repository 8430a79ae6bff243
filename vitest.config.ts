import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Starts PostgreSQL when a test asks for it.
    globalSetup: ['test/support/postgres-broker.ts'],
    // As bin.js does: every thread of a service would otherwise strip the types of its modules again, for each test.
    env: { NODE_COMPILE_CACHE: resolve(import.meta.dirname, 'node_modules/.cache/node') },
    // Two cores: the end-to-end suites spawn processes of their own.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
