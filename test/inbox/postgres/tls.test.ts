import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { connect, tlsMode } from '../../../src/inbox/postgres/connect.ts'
import { openForCommand } from '../../../src/inbox/postgres/open.ts'
import { CERTIFICATE } from '../../support/certificate.ts'
import { freePort } from '../../support/port.ts'
import { type PostgresServer, startPostgres } from '../../support/postgres-server.ts'
import { tempFolder } from '../../support/temp.ts'

let port: number
let server: PostgresServer

beforeAll(async () => {
  port = await freePort()
  server = await startPostgres({
    port,
    files: { 'server.crt': CERTIFICATE.cert, 'server.key': CERTIFICATE.key },
    settings: { ssl: 'on', ssl_cert_file: '{folder}/server.crt', ssl_key_file: '{folder}/server.key' },
  })
})
afterAll(() => server.stop())

/** Whether the connection that this URL makes is encrypted. */
async function isEncrypted(options: string, host = '127.0.0.1'): Promise<boolean> {
  const client = await connect({ url: `postgres://postgres@${host}:${port}/postgres${options}`, name: 'test' })
  onTestFinished(() => client.end())
  return (await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows[0].ssl
}

describe('TLS, as libpq does it', () => {
  it('prefers encryption, and demands or leaves it as sslmode says', async () => {
    expect(await isEncrypted('')).toBe(true)
    expect(await isEncrypted('?sslmode=prefer')).toBe(true)
    expect(await isEncrypted('?sslmode=require')).toBe(true)
    expect(await isEncrypted('?sslmode=disable')).toBe(false)
    expect(await isEncrypted('?sslmode=allow')).toBe(false)
  })

  it('verifies the certificate and the name', async () => {
    const root = join(tempFolder(), 'root.crt')
    writeFileSync(root, CERTIFICATE.cert)
    expect(await isEncrypted(`?sslmode=verify-full&sslrootcert=${root}`, 'localhost')).toBe(true)
    expect(await isEncrypted(`?sslmode=verify-ca&sslrootcert=${root}`)).toBe(true)
    // Nobody that the system trusts has signed it.
    await expect(isEncrypted('?sslmode=verify-full')).rejects.toThrow(/self-signed|certificate/)
    await expect(isEncrypted('?sslrootcert=system')).rejects.toThrow(/self-signed|certificate/)
  })

  it('says of a certificate that is not trusted what to do, and does not wait for another', async () => {
    const url = `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=verify-full`
    await expect(openForCommand({ url, location: 'postgres://db/x' })).rejects.toMatchObject({
      name: 'DatabaseRefused',
      message: expect.stringContaining('docs/postgresql.md'),
    })
  })

  it('falls back to an open connection where the server has no TLS, and only where that is allowed', async () => {
    const plainPort = await freePort()
    const plain = await startPostgres({ port: plainPort })
    onTestFinished(() => plain.stop())
    const of = (options: string) => ({
      url: `postgres://postgres@127.0.0.1:${plainPort}/postgres${options}`,
      name: 'test',
    })
    await (await connect(of(''))).end()
    await expect(connect(of('?sslmode=require'))).rejects.toThrow('does not support SSL')
  })

  it.each([
    ['postgres://u@h/d', 'prefer'],
    ['postgres://u@h/d?sslmode=require', 'require'],
    ['postgres://u@h/d?sslmode=require&sslrootcert=/x', 'verify-ca'],
    ['postgres://u@h/d?sslrootcert=system', 'verify-full'],
  ])('%s means %s', (url, mode) => {
    expect(tlsMode(url)).toBe(mode)
  })
})
