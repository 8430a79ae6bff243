import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { type PostgresServer, startPostgres } from './postgres-server.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    readonly postgresBroker: string
  }
}

/** One PostgreSQL for all test files of a run: started when the first of them asks for it, stopped at the end of the run. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'receiver-broker-'))
  const path = join(folder, 'socket')
  let starting: Promise<PostgresServer> | null = null
  const given = process.env.TEST_DATABASE_URL
  const broker = createServer(async (socket) => {
    socket.on('error', () => {})
    starting ??= given ? null : startPostgres()
    const answer =
      given ??
      (await starting!.then(
        ({ url }) => url,
        (error: Error) => `error: ${error.message}`,
      ))
    socket.end(answer)
  })
  await new Promise<void>((resolve) => broker.listen(path, resolve))
  project.provide('postgresBroker', path)
  return async () => {
    broker.close()
    const server = await starting?.catch(() => null)
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
