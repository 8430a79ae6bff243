import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, connect as dial, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** What becomes of a message of the server: `cut` ends the connection before the client has it. */
type Fate = 'pass' | 'drop' | 'cut'

/** A network between services and PostgreSQL that a test breaks. */
export type PostgresProxy = {
  readonly url: string
  /** Decides on each message of the server: `type` is its letter, `body` its text. */
  decide: (type: string, body: string) => Fate
  /** Nothing passes in either direction, and nobody is told. */
  freeze(): void
  /** Ends all connections, and lets everything pass again. */
  heal(): void
  /** Ends all connections, and refuses new ones until `heal`. */
  cut(): void
}

export const isCommit = (type: string, body: string) => type === 'C' && body.startsWith('COMMIT')

/** Stands before the socket of the server at `url`, until the test ends. */
export async function postgresProxy(url: string): Promise<PostgresProxy> {
  const [, folder = '', port = '5432'] = /[?&]host=([^&]+)(?:&port=(\d+))?/.exec(url)!
  const target = join(decodeURIComponent(folder), `.s.PGSQL.${port}`)
  const own = mkdtempSync(join(tmpdir(), 'receiver-proxy-'))
  const open = new Set<Socket>()
  let state: 'open' | 'frozen' | 'cut' = 'open'

  const server = createServer((client) => {
    if (state === 'cut') return client.destroy()
    const upstream = dial(target)
    const end = () => {
      client.destroy()
      upstream.destroy()
      open.delete(client)
    }
    open.add(client)
    for (const one of [client, upstream]) one.on('error', end).on('close', end)
    client.on('data', (bytes) => {
      if (state === 'open') upstream.write(bytes)
    })
    upstream.on(
      'data',
      framed((message) => {
        if (state !== 'open') return
        const fate = proxy.decide(String.fromCharCode(message[0]!), message.subarray(5).toString('latin1'))
        if (fate === 'pass') client.write(message)
        else if (fate === 'cut') end()
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(join(own, '.s.PGSQL.5432'), resolve))
  onTestFinished(() => {
    for (const client of open) client.destroy()
    server.close()
    rmSync(own, { recursive: true, force: true })
  })

  function endAll(): void {
    for (const client of open) client.destroy()
  }

  const proxy: PostgresProxy = {
    url: url.replace(/host=[^&]+(&port=\d+)?/, `host=${encodeURIComponent(own)}`),
    decide: () => 'pass',
    freeze() {
      state = 'frozen'
    },
    heal() {
      endAll()
      state = 'open'
    },
    cut() {
      state = 'cut'
      endAll()
    },
  }
  return proxy
}

/** Messages of the server: a letter, a length, and the rest. */
function framed(onMessage: (message: Buffer) => void): (bytes: Buffer) => void {
  let rest = Buffer.alloc(0)
  return (bytes) => {
    rest = Buffer.concat([rest, bytes])
    while (rest.length >= 5 && rest.length >= 1 + rest.readUInt32BE(1)) {
      const end = 1 + rest.readUInt32BE(1)
      const message = rest.subarray(0, end)
      rest = rest.subarray(end)
      onMessage(message)
    }
  }
}
