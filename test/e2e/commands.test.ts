import { existsSync, writeFileSync } from 'node:fs'
import { createServer as createPlainServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { CERTIFICATE } from '../support/certificate.ts'
import { freePort } from '../support/port.ts'
import { isReady, spawnReceiver } from '../support/process.ts'
import { signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

async function run(args: string[], env: Record<string, string> = {}) {
  const process = spawnReceiver(args, env, tempFolder())
  return { code: await process.exited, output: process.output() }
}

describe('wrong settings', () => {
  it('exit 78 without listening, every problem named with what to do', async () => {
    const port = await freePort()
    const { code, output } = await run(['serve'], { PORT: String(port), RETENTION: '1d' })
    expect(code).toBe(78)
    for (const name of ['SVIX_WEBHOOK_SECRET', 'REDUCTO_API_KEY', 'RETENTION']) expect(output).toMatch(`  ${name}: `)
    expect(output).toMatch('.env.example')
    await expect(
      new Promise((resolve, reject) => connect(port, '127.0.0.1', () => resolve('connected')).on('error', reject)),
    ).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('tell a port that is taken', async () => {
    const reducto = await testReducto()
    const port = new URL(reducto.url).port
    const { code, output } = await run(['serve'], { ...testEnv(tempFolder(), reducto, newSecret()), PORT: port })
    expect(code).toBe(78)
    expect(output).toMatch(`PORT: port ${port} is taken`)
  })

  it('tell by its own name that the port for operators is taken', async () => {
    const reducto = await testReducto()
    const port = new URL(reducto.url).port
    const admin = { ADMIN_TOKEN: 'a-token-that-writes', ADMIN_PORT: port }
    const { code, output } = await run(['serve'], { ...testEnv(tempFolder(), reducto, newSecret()), ...admin })
    expect(code).toBe(78)
    expect(output).toMatch(`ADMIN_PORT: port ${port} is taken`)
    expect(output).not.toContain(admin.ADMIN_TOKEN)
  })

  it('read .env where it is present, and let the environment win', async () => {
    const folder = tempFolder()
    const reducto = await testReducto()
    const env = testEnv(folder, reducto, newSecret())
    writeFileSync(
      join(folder, '.env'),
      Object.entries({ ...env, LOG_LEVEL: 'loud' })
        .map(([name, value]) => `${name}=${value}`)
        .join('\n'),
    )
    const wrong = spawnReceiver(['serve'], {}, folder)
    expect(await wrong.exited).toBe(78)
    const right = spawnReceiver(['serve'], { LOG_LEVEL: 'info' }, folder)
    await right.line(isReady)
    expect(await right.end('SIGINT')).toBe(0)
  })
})

describe('wrong use', () => {
  it.each([
    [['nonsense']],
    [['backup']],
    [['demo', '--nonsense']],
    [['send-test', 'ping']],
    [['serve', '--port', '3000']],
  ])('receiver %j exits 2 and says how', async (args) => {
    const { code, output } = await run(args)
    expect(code).toBe(2)
    expect(output).toMatch('receiver help')
  })

  it('help and version', async () => {
    expect(await run(['help'])).toEqual({ code: 0, output: expect.stringContaining('backup FILE') })
    expect(await run(['--version'])).toEqual({ code: 0, output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })
})

describe('an old Node', () => {
  it('is told which one is needed and how to get it', async () => {
    const pretend =
      "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})"
    const process = spawnReceiver(['serve'], { NODE_OPTIONS: `--import=${pretend}` })
    expect(await process.exited).toBe(78)
    expect(process.output()).toMatch('Node 24')
    expect(process.output()).toMatch('npm ci')
  })
})

describe('demo --once', () => {
  it('tells what happens and ends with a summary and exit 0', async () => {
    const { code, output } = await run(['demo', '--once'])
    expect(code).toBe(0)
    for (const word of ['accepted', 'duplicate', 'ignored', 'saved', 'retry'])
      expect(output).toMatch(new RegExp(`^${word} `, 'm'))
    expect(output).toMatch('9 jobs done, 0 dead, 0 open')
    const folder = /Look at (\S+):/.exec(output)![1]!
    expect(existsSync(folder)).toBe(true)
  })
})

describe('send-test, to what is not the service', () => {
  it('names the cure where TLS or a certificate is in the way', async () => {
    const secure = createTlsServer(CERTIFICATE, (_request, response) => response.end('x'))
    const plain = createPlainServer((_request, response) => response.end('x'))
    const env = { SVIX_WEBHOOK_SECRET: newSecret() }
    const to = async (server: Server, scheme: string) => {
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
      onTestFinished(() => void server.close())
      const { port } = server.address() as AddressInfo
      return (await run(['send-test', '--to', `${scheme}://127.0.0.1:${port}/webhook`], env)).output
    }
    expect(await to(secure, 'https')).toMatch(/cure +the certificate is signed by itself/)
    expect(await to(plain, 'https')).toMatch(/cure +the TLS handshake failed: does the port speak HTTPS at all/)
  })

  it('reads no more than the start of an answer without end', async () => {
    const endless = createPlainServer((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(16_384)));
        response.once('drain', more)
      }
      response.writeHead(502)
      more()
    })
    await new Promise<void>((listening) => endless.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void endless.close())
    const url = `http://127.0.0.1:${(endless.address() as AddressInfo).port}/webhook`
    const { code, output } = await run(['send-test', '--to', url], { SVIX_WEBHOOK_SECRET: newSecret() })
    expect(code).toBe(1)
    expect(output).toMatch(/answered {2}502 x{300}…[\s\S]*cannot reach the service/)
  })
})

describe('beside a running service', () => {
  async function running() {
    const folder = tempFolder()
    const reducto = await testReducto()
    const env: Record<string, string> = { ...testEnv(folder, reducto, newSecret()), PORT: String(await freePort()) }
    const service = spawnReceiver(['serve'], env)
    await service.line(isReady)
    return { folder, reducto, env, service, url: `http://127.0.0.1:${env.PORT}/webhook` }
  }

  it('backup makes a consistent copy, and never overwrites one', async () => {
    const { folder, reducto, env, url, service } = await running()
    const jobId = reducto.addJob()
    const body = JSON.stringify({ status: 'Completed', job_id: jobId })
    await fetch(url, { method: 'POST', headers: signed(env.SVIX_WEBHOOK_SECRET!, body), body })
    await service.line((line) => line.msg === 'job')
    const file = join(folder, 'backup.db')
    expect(await run(['backup', file], env)).toEqual({ code: 0, output: expect.stringContaining(file) })
    const copy = new DatabaseSync(file, { readOnly: true })
    expect(copy.prepare('SELECT job_id, state FROM job').all()).toEqual([{ job_id: jobId, state: 'done' }])
    expect(copy.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    copy.close()
    expect(await run(['backup', file], env)).toEqual({ code: 1, output: expect.stringContaining('exists already') })
    expect(existsSync(`${file}.partial`)).toBe(false)
    expect(await service.end('SIGTERM')).toBe(0)
  })

  it('send-test sends a signed delivery and shows the answer', async () => {
    const { env, url, service, reducto } = await running()
    expect(await run(['send-test', 'ping', '--to', url], env)).toEqual({
      code: 0,
      output: expect.stringMatching(/answered {2}200 .*not a Reducto job update/),
    })
    const { code, output } = await run(['send-test', 'completed', '--to', url, '--json'], env)
    expect(code).toBe(0)
    const { sent, ...told } = JSON.parse(output)
    expect(told).toMatchObject({ status: 200, is_fine: true, advice: expect.stringContaining('recorded') })
    expect(sent).toMatchObject({ status: 'Completed', job_id: expect.stringMatching(/^receiver-test-/) })
    await service.line((line) => line.msg === 'job' && line.jobId === sent.job_id && line.outcome === 'done')
    expect(reducto.fetches.get(sent.job_id)).toBeUndefined()
    expect((await run(['jobs', 'show', sent.job_id], env)).output).toMatch(
      /State +done[\s\S]*none: a test of send-test/,
    )
    const other = { ...env, SVIX_WEBHOOK_SECRET: newSecret() }
    expect(await run(['send-test', 'ping', '--to', url], other)).toEqual({
      code: 1,
      output: expect.stringMatching(/answered {2}401 [\s\S]*cure +the signature does not match/),
    })
    expect((await run(['send-test', '--to', url.replace(/:\d+/, `:${await freePort()}`)], env)).output).toMatch(
      /cannot be reached: .*ECONNREFUSED.*\ncure +nothing listens there/,
    )
  })
})
