import { join } from 'node:path'
import { expect } from 'vitest'
import { openSqlite } from '../../src/inbox/sqlite/inbox.ts'
import { inboxContract } from './contract.ts'

inboxContract('SQLite', ({ place, ...options }) =>
  openSqlite({
    ...options,
    path: join(place, 'inbox.db'),
    minFree: 0,
    isService: true,
    onDeath: (error) => expect.unreachable(error.message),
  }),
)
