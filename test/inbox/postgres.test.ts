import { basename } from 'node:path'
import { expect } from 'vitest'
import { openPostgres } from '../../src/inbox/postgres/inbox.ts'
import { testPostgres } from '../support/postgres.ts'
import { inboxContract } from './contract.ts'

const server = testPostgres()

inboxContract('PostgreSQL', ({ place, clock }) => {
  const schema = basename(place).replace(/\W/g, '_').toLowerCase()
  return openPostgres({
    place: { url: server.url, schema },
    clock,
    isService: true,
    about: { version: '1', settings: {}, results: null, concurrency: 8 },
    onLost: () => expect.unreachable('lost'),
    onWarning: (message) => expect.unreachable(message),
    onDeath: (error) => expect.unreachable(error.message),
    test: { startBeats: () => ({ rename() {}, async stop() {} }), insist: true },
  })
})
