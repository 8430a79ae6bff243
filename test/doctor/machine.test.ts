import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, vi } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { freePort } from '../support/port.ts'
import { spawnReceiver } from '../support/process.ts'
import { testS3 } from '../support/s3.ts'
import { signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'
import { hasOpenssl, makeCertificate } from './certificates.ts'
import { listening, startBytes } from './proxy.ts'
import { diagnose, expectCause, startService } from './support.ts'

/** What is wrong on the machine itself, and with what it calls. */

/** Some tests start a dozen processes, on a machine that others use, too. ms */
vi.setConfig({ testTimeout: 180_000 })

const s3 = testS3()
const HANDLER = resolve(import.meta.dirname, '../support/handler.ts')

async function settings(more: Record<string, string> = {}): Promise<Record<string, string>> {
  const folder = more.FOLDER ?? tempFolder()
  return { ...testEnv(folder, await testReducto(), newSecret()), ...more }
}

describe('the database', () => {
  it('that is damaged, of a newer version, or no database is told as that', async () => {
    const on = await startService()
    const path = on.env.DATABASE_URL!.slice('sqlite:'.length)
    await fill(on.url, on.env.SVIX_WEBHOOK_SECRET!)
    await on.service.end('SIGTERM')
    expect((await on.doctor()).of('database')).toMatchObject({ status: 'ok', found: expect.stringMatching(/is whole/) })

    withDatabase(path, (db) => db.exec('PRAGMA user_version = 999'))
    expectCause(await on.doctor(), { database: /schema version 999/ })
    withDatabase(path, (db) => db.exec('PRAGMA user_version = 1'))
    expect((await on.doctor()).of('database')).toMatchObject({ status: 'warning' })
    withDatabase(path, (db) => db.exec('PRAGMA wal_checkpoint(TRUNCATE)'))

    const file = openSync(path, 'r+')
    for (let page = 2; page < 12; page++) writeSync(file, randomBytes(2_000), 0, 2_000, page * 4096 + 500)
    closeSync(file)
    expectCause(await on.doctor(), { database: /is damaged: |malformed/ })
    writeFileSync(path, 'something else, of many words '.repeat(1_000))
    expectCause(await on.doctor(), { database: /cannot be read: file is not a database/ })
  })

  it('is only looked at: nothing is made, and nothing is left', async () => {
    const folder = tempFolder()
    const report = await diagnose(await settings({ FOLDER: folder }))
    expect(report.of('database')).toMatchObject({ status: 'warning', found: expect.stringContaining('no database') })
    expect(report.of('results')).toMatchObject({ status: 'ok' })
    expect(readdirSync(folder)).toEqual([])
  })

  async function fill(url: string, secret: string): Promise<void> {
    for (let count = 0; count < 60; count++) {
      const body = JSON.stringify({ success: true, text: 'x'.repeat(1_500) })
      await fetch(`${url}/webhook`, { method: 'POST', headers: signed(secret, body), body })
    }
  }

  function withDatabase(path: string, use: (db: DatabaseSync) => void): void {
    using db = new DatabaseSync(path)
    use(db)
  }
})

describe('results', () => {
  it('that cannot be written are told with the path', async () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'results'), 'a file')
    const report = await diagnose(await settings({ FOLDER: folder }))
    expect(report.of('results')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining(join(folder, 'results')),
    })
  })

  it('can be saved in a bucket', async () => {
    const url = `s3://results/doctor?region=us-east-1&endpoint=${s3.endpoint}`
    const keys = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER', HOME: tempFolder() }
    const report = await diagnose(await settings({ RESULTS_URL: url, ...keys }))
    expect(report.of('results').items).toEqual([
      { status: 'ok', found: 'a result can be saved in s3://results/doctor', cure: null },
    ])
  })

  it('in a bucket that does not answer are told as that', async () => {
    const port = await freePort()
    const url = `s3://results/a?region=eu-central-1&endpoint=http://127.0.0.1:${port}`
    const keys = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'secret-of-aws', HOME: tempFolder() }
    const report = await diagnose(await settings({ RESULTS_URL: url, ...keys }))
    expect(report.of('results')).toMatchObject({ status: 'problem', found: expect.stringContaining('s3://results/a') })
    expect(JSON.stringify(report.checks)).not.toContain('secret-of-aws')
  })
})

describe('wrong use', () => {
  it.for([
    [['--url', 'example.com'], /begins with http/],
    [['--url', 'https://user:password@example.com'], /without user name/],
    [['--url', 'https://example.com/?x=1'], /without \?/],
    [['--urls', 'https://example.com'], /did you mean --url/],
    [['now'], /takes no arguments/],
  ] as const)('%s', async ([args, words]) => {
    const command = spawnReceiver(['doctor', ...args], await settings())
    expect(await command.exited).toBe(2)
    expect(command.output()).toMatch(words)
  })
})

describe('a handler', () => {
  const handlers: readonly (readonly [string, string, string, RegExp])[] = [
    [
      'that takes a result',
      'export default async (result) => { await result.extracted() }',
      'ok',
      /took a made-up result/,
    ],
    [
      'that throws',
      'export default async () => { throw new Error("no such table") }',
      'problem',
      /failed on .*no such table/,
    ],
    ['that does not parse', 'export default async () => {', 'problem', /handler\.ts/],
    ['that exports nothing', 'const x = 1', 'problem', /export/],
    ['that blocks for ever', 'export default () => { for (;;); }', 'problem', /blocked its thread/],
    ['that ends its process', 'export default () => process.exit(0)', 'problem', /ended the process/],
  ]

  it.for(handlers)('%s', async ([_what, code, status, words]) => {
    const path = join(tempFolder(), 'handler.ts')
    writeFileSync(path, code)
    const report = await diagnose(await settings({ HANDLER: path, HANDLER_TIMEOUT: '2s' }))
    expect(report.of('handler')).toMatchObject({ status, found: expect.stringMatching(words) })
  })

  it('is only loaded with --no-sample', async () => {
    const path = join(tempFolder(), 'handler.ts')
    writeFileSync(path, 'export default () => { throw new Error("called") }')
    const env = await settings({ HANDLER: path })
    expect((await diagnose(env, '--no-sample')).of('handler')).toMatchObject({ status: 'ok' })
    writeFileSync(path, 'import "no-such-package"')
    expect((await diagnose(env, '--no-sample')).of('handler')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('no-such-package'),
    })
  })
})

describe('FORWARD_URL', () => {
  it('is connected to, and nothing is posted', async () => {
    const received: string[] = []
    const url = await startBytes((socket) => socket.on('data', (data) => received.push(String(data))))
    const env = { FORWARD_SECRET: newSecret(), PUBLIC_URL: 'http://127.0.0.1:1' }
    const report = await diagnose(await settings({ ...env, FORWARD_URL: `${url}/hook?token=abc-secret-def` }))
    expect(report.of('forward')).toMatchObject({ status: 'ok' })
    expect(received).toEqual([])
    const port = await freePort()
    const gone = await diagnose(
      await settings({ ...env, FORWARD_URL: `http://127.0.0.1:${port}/hook?token=abc-secret-def` }),
    )
    expect(gone.of('forward')).toMatchObject({ status: 'problem', found: expect.stringContaining('ECONNREFUSED') })
    expect(JSON.stringify(gone.checks)).not.toContain('abc-secret-def')
  })
})

describe('a proxy', () => {
  it('that takes no connections is told without its password', async () => {
    const port = await freePort()
    const report = await diagnose(await settings({ HTTPS_PROXY: `http://user:pass-of-proxy@127.0.0.1:${port}` }))
    expect(report.of('proxies')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining(`127.0.0.1 port ${port}`),
    })
    expect(JSON.stringify(report.checks)).not.toContain('pass-of-proxy')
  })
})

describe.runIf(hasOpenssl)('a key', () => {
  it('of another region is told as that', async () => {
    const certificate = makeCertificate({
      names: ['platform.reducto.ai', 'eu.platform.reducto.ai', 'au.platform.reducto.ai'],
    })
    const platform = createTlsServer(certificate, ({ headers }, response) => {
      const isEu = headers.host === 'eu.platform.reducto.ai'
      const body = isEu ? { jobs: [] } : { detail: 'Invalid API key' }
      response.writeHead(isEu ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
    const port = await listening(platform)
    // Whatever host is asked for is that server.
    const proxy = createHttpServer()
    proxy.on('connect', (_request, socket) => {
      const onward = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        onward.pipe(socket).pipe(onward)
      })
      for (const one of [onward, socket]) one.on('error', () => {})
    })
    const { REDUCTO_BASE_URL: _, ...env } = await settings()
    const report = await diagnose({
      ...env,
      HTTPS_PROXY: `http://127.0.0.1:${await listening(proxy)}`,
      NODE_EXTRA_CA_CERTS: certificate.ca,
    })
    expectCause(report, { key: /platform\.reducto\.ai refuses the key; it belongs to eu/ })
    expect(report.of('key').cure).toContain('REDUCTO_ENVIRONMENT=eu')
  })

  it('of an installation of its own is shown to nobody else', async () => {
    const asked: string[] = []
    const port = await listening(
      createHttpServer((request, response) => {
        asked.push(request.headers.authorization ?? '')
        response.writeHead(401, { 'content-type': 'application/json' }).end('{"detail":"no"}')
      }),
    )
    const other = await startBytes((socket) => void asked.push(`leaked to ${socket.localPort}`))
    const report = await diagnose(await settings({ REDUCTO_BASE_URL: `http://127.0.0.1:${port}`, HTTPS_PROXY: other }))
    expect(report.of('key')).toMatchObject({ status: 'problem', found: expect.stringMatching(/refuses the key$/) })
    // The proxy is looked at by its own check, once.
    expect(asked.filter((one) => one.startsWith('leaked'))).toHaveLength(1)
  })
})

describe('what the inbox knows', () => {
  it('dead jobs are told by cause with what Resend would do; an endpoint without deliveries is a warning', async () => {
    const on = await startService({ HANDLER })
    for (const name of ['one', 'two']) {
      const jobId = on.reducto.addJob({ id: name })
      const body = JSON.stringify({ status: 'Completed', job_id: jobId, metadata: { refuse: 'no such customer' } })
      await fetch(`${on.url}/webhook`, { method: 'POST', headers: signed(on.env.SVIX_WEBHOOK_SECRET!, body), body })
      await on.service.line((line) => line.msg === 'job' && line.jobId === jobId)
    }
    const report = await on.doctor({}, '--no-sample')
    expectCause(report, { 'dead jobs': /2 dead: refused/ })
    expect(report.of('dead jobs').cure).toMatch(/hands them over again; Resend/)
    expect(report.of('channels')).toMatchObject({
      status: 'warning',
      found: 'no delivery has ever come to /webhook/dev',
      cure: expect.stringContaining('channels'),
    })
  })
})

it('a folder that nobody may enter ends nothing', async () => {
  const folder = join(tempFolder(), 'closed')
  mkdirSync(folder)
  const report = await diagnose(await settings({ DATABASE_URL: 'sqlite:/proc/1/receiver.db' }))
  expect(report.code).toBe(78)
  expect(report.of('database')).toMatchObject({ status: 'skipped' })
  expect(report.of('results')).toMatchObject({ status: 'ok' })
})
