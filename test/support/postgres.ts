import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import pg from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'

/**
 * An empty database of a real PostgreSQL for the tests of a file; the server is shared with other files, and not durable.
 * TEST_DATABASE_URL names one that runs already; else one is started when it is first asked for.
 */
export function testPostgres(): { readonly url: string } {
  const running = { url: '' }
  const name = `test_${randomBytes(6).toString('hex')}`
  let server = ''

  async function run(statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: server })
    await client.connect()
    await client.query(statement)
    await client.end()
  }

  beforeAll(async () => {
    server = await text(connect(inject('postgresBroker')))
    if (server.startsWith('error: ')) throw new Error(server)
    await run(`CREATE DATABASE ${name} TEMPLATE template0`)
    running.url = server.replace(/\/[^/?]*(?=\?|$)/, `/${name}`)
  })
  afterAll(() => run(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  return running
}
