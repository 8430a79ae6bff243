import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { freePort } from '../support/port.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { delivery, signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** What goes wrong, or leaks, the first time somebody starts it: with the real program. */

const NOBODY = 65534
const isRoot = process.getuid?.() === 0

async function settings(more: Record<string, string> = {}) {
  const folder = tempFolder()
  const reducto = await testReducto()
  const port = await freePort()
  const env: Record<string, string> = { ...testEnv(folder, reducto, newSecret()), PORT: String(port), ...more }
  return { folder, reducto, env, url: `http://127.0.0.1:${port}` }
}

async function ends(started: RealProcess) {
  return { code: await started.exited, output: started.output() }
}

function envFile(env: Record<string, string>, end = '\n'): string {
  return Object.entries(env)
    .map(([name, value]) => `${name}=${value}${end}`)
    .join('')
}

describe('.env', () => {
  it.each([
    ['a folder', (path: string) => mkdirSync(path), /\.env: is a folder/],
    ['a link to nothing', (path: string) => symlinkSync('/nowhere/env', path), /\.env: is a link/],
    [
      'UTF-16, little end first',
      (path: string) => writeFileSync(path, Buffer.from('\ufeffPORT=1', 'utf16le')),
      /\.env: .*UTF-8/,
    ],
    [
      'UTF-16 without a mark',
      (path: string) => writeFileSync(path, Buffer.from('PORT=1', 'utf16le')),
      /\.env: .*UTF-8/,
    ],
    ['Latin-1', (path: string) => writeFileSync(path, Buffer.from('# für uns\nPORT=1', 'latin1')), /\.env: .*UTF-8/],
    ['a pipe that nobody writes to', (path: string) => execFileSync('mkfifo', [path]), /\.env: is a pipe/],
    ['a device', (path: string) => symlinkSync('/dev/zero', path), /\.env: is a device/],
    ['a file without end', (path: string) => writeFileSync(path, 'A=1\n'.repeat(300_000)), /\.env: is larger than/],
    ['a loop of links', (path: string) => symlinkSync(path, path), /\.env: .*ELOOP/],
  ])('that is %s is told, exit 78', async (_what, make, told) => {
    const folder = tempFolder()
    make(join(folder, '.env'))
    const { code, output } = await ends(spawnReceiver(['serve'], {}, folder))
    expect(output).toMatch(told)
    expect(code).toBe(78)
  })

  it.runIf(isRoot)('that this user may not read is told with its owner and the cure, exit 78', async () => {
    const folder = tempFolder()
    chmodSync(folder, 0o755)
    writeFileSync(join(folder, '.env'), 'PORT=1', { mode: 0o600 })
    const { code, output } = await ends(spawnReceiver(['serve'], {}, folder, undefined, NOBODY))
    expect(output).toMatch(/\.env: cannot be read: it belongs to root \(uid 0\), mode 600, .*runs as uid 65534; chown/)
    expect(code).toBe(78)
  })

  it.each([
    ['with a byte order mark', '\ufeff', '\n'],
    ['with CRLF', '', '\r\n'],
    ['with both', '\ufeff', '\r\n'],
  ])('%s is read all the same', async (_what, start, end) => {
    const { folder, env } = await settings()
    // What cannot be missing comes first, where a mark would spoil it.
    const { SVIX_WEBHOOK_SECRET = '', ...rest } = env
    writeFileSync(join(folder, '.env'), start + envFile({ SVIX_WEBHOOK_SECRET, ...rest }, end))
    const service = spawnReceiver(['serve'], {}, folder)
    await service.line(isReady)
    expect(await service.end('SIGTERM')).toBe(0)
  })
})

describe('places that this process may not write', () => {
  it.runIf(isRoot).each([
    ['DATABASE_URL', (folder: string) => `sqlite:${folder}/data/receiver.db`],
    ['DATABASE_URL', (folder: string) => `sqlite:${folder}/data/deep/er/receiver.db`],
    ['RESULTS_URL', (folder: string) => `file:${folder}/data`],
    ['RESULTS_URL', (folder: string) => `file:${folder}/data/results`],
  ])('are told with user, owner and cure, exit 78: %s', async (name, url) => {
    const { folder, env } = await settings()
    chownSync(folder, NOBODY, NOBODY)
    mkdirSync(join(folder, 'data'), { mode: 0o755 })
    const started = spawnReceiver(['serve'], { ...env, [name]: url(folder) }, folder, undefined, NOBODY)
    const { code, output } = await ends(started)
    expect(output).toMatch(
      `${name}: ${folder}/data belongs to root (uid 0), mode 755, and this process runs as uid 65534: chown`,
    )
    expect(output).toMatch(/fsGroup/)
    expect(code).toBe(78)
  })

  it.runIf(isRoot).each(['receiver.db', 'receiver.db-wal', 'receiver.db.lock'])(
    'a file of another user: %s',
    async (file) => {
      const { folder, env } = await settings()
      chownSync(folder, NOBODY, NOBODY)
      writeFileSync(join(folder, file), '', { mode: 0o644 })
      const { code, output } = await ends(spawnReceiver(['serve'], env, folder, undefined, NOBODY))
      expect(output).toMatch(`DATABASE_URL: ${folder}/${file} belongs to root`)
      expect(code).toBe(78)
    },
  )

  it('a file where a folder is to be, and a folder where a file is to be', async () => {
    const { folder, env } = await settings()
    writeFileSync(join(folder, 'file'), '')
    mkdirSync(join(folder, 'receiver.db'))
    const { code, output } = await ends(
      spawnReceiver(['serve'], { ...env, RESULTS_URL: `file:${folder}/file/results` }),
    )
    expect(output).toMatch(`DATABASE_URL: ${folder}/receiver.db is not a file`)
    expect(output).toMatch(`RESULTS_URL: ${folder}/file is not a folder`)
    expect(code).toBe(78)
  })
})

describe('HOST and PORT', () => {
  it.each(['no-such-host.invalid', '203.0.113.7', 'example..com', '2001:db8::7'])(
    'HOST=%s is told by name, exit 78',
    async (host) => {
      const { env } = await settings({ HOST: host })
      const { code, output } = await ends(spawnReceiver(['serve'], env))
      expect(output).toMatch(/HOST: /)
      expect(code).toBe(78)
    },
  )

  it.runIf(isRoot)('a port that this user may not use', async () => {
    const { folder, env } = await settings({ PORT: '1' })
    chownSync(folder, NOBODY, NOBODY)
    const { code, output } = await ends(spawnReceiver(['serve'], env, folder, undefined, NOBODY))
    // Kernels of containers often let everybody use every port.
    if (code === null || code === 0) return
    expect(output).toMatch(/PORT: port 1 may not be used by uid 65534/)
    expect(code).toBe(78)
  })
})

describe('secrets', () => {
  const TOKEN = 'direct-token-sentinel-0123456789'

  it.each(['DEBUG', 'NODE_DEBUG'])('%s=* prints none of them, from the shell or from .env', async (name) => {
    const { folder, reducto, env, url } = await settings({ DIRECT_WEBHOOK_TOKEN: TOKEN })
    writeFileSync(join(folder, '.env'), `${name}=*\n`)
    const service = spawnReceiver(['serve'], { ...env, [name]: '*' }, folder)
    await service.line(isReady)
    const jobId = reducto.addJob({ kind: 'parse-url' })
    await post(`${url}/webhook/direct/${TOKEN}`, delivery(jobId).body)
    await post(`${url}/webhook/direct/${TOKEN}x`, '{}')
    await service.line((line) => line.msg === 'job')
    expect(await service.end('SIGTERM')).toBe(0)
    for (const secret of [TOKEN, env.REDUCTO_API_KEY!, env.SVIX_WEBHOOK_SECRET!, 'signature='])
      expect(service.output()).not.toContain(secret)
  })

  it('are gone from the environment when the handler is loaded and called; others are not', async () => {
    const { folder, reducto, env, url } = await settings({ DIRECT_WEBHOOK_TOKEN: TOKEN })
    const { SVIX_WEBHOOK_SECRET, ...inShell } = env
    const seen = join(folder, 'seen')
    const { REDUCTO_API_KEY: key, ...rest } = inShell
    writeFileSync(join(folder, 'key'), `${key}\n`)
    writeFileSync(
      join(folder, '.env'),
      `SVIX_WEBHOOK_SECRET=${SVIX_WEBHOOK_SECRET}\nMY_OWN=mine\nDEBUG=*\nAWS_SESSION_TOKEN=aws\n`,
    )
    writeFileSync(
      join(folder, 'handler.mjs'),
      `import { execFileSync } from 'node:child_process'
       import { writeFileSync } from 'node:fs'
       const atStart = { ...process.env }
       export default () => writeFileSync(${JSON.stringify(seen)}, JSON.stringify([atStart, process.env, execFileSync('env').toString()]))`,
    )
    const service = spawnReceiver(
      ['serve'],
      {
        ...rest,
        REDUCTO_API_KEY_FILE: join(folder, 'key'),
        HANDLER: join(folder, 'handler.mjs'),
        AWS_SECRET_ACCESS_KEY: 'aws',
      },
      folder,
    )
    await service.line(isReady)
    const { body } = delivery(reducto.addJob())
    await post(`${url}/webhook`, body, signed(SVIX_WEBHOOK_SECRET!, body))
    await service.line((line) => line.msg === 'job' && line.stage === 'hand_over')
    const text = readFileSync(seen, 'utf8')
    for (const gone of [SVIX_WEBHOOK_SECRET!, env.REDUCTO_API_KEY!, TOKEN, '"DEBUG"', 'REDUCTO_API_KEY_FILE'])
      expect(text).not.toContain(gone)
    const [atStart] = JSON.parse(text)
    expect(atStart).toMatchObject({
      MY_OWN: 'mine',
      AWS_SESSION_TOKEN: 'aws',
      AWS_SECRET_ACCESS_KEY: 'aws',
      PORT: env.PORT,
    })
  })

  it('what is saved is for this user alone: files 600, folders 700', async () => {
    const { folder, reducto, env, url } = await settings()
    const data = join(folder, 'data')
    const places = { DATABASE_URL: `sqlite:${data}/db/receiver.db`, RESULTS_URL: `file:${data}/results` }
    const service = spawnReceiver(['serve'], { ...env, ...places }, folder)
    await service.line(isReady)
    const { body } = delivery(reducto.addJob({ kind: 'parse-url' }))
    await post(`${url}/webhook`, body, signed(env.SVIX_WEBHOOK_SECRET!, body))
    await service.line((line) => line.msg === 'job')
    const backup = spawnReceiver(['backup', join(data, 'backup.db')], { ...places }, folder)
    expect(await ends(backup)).toMatchObject({ code: 0 })
    const made = ['', ...readdirSync(data, { recursive: true, encoding: 'utf8' })].map((path) => join(data, path))
    const names = [
      'receiver.db',
      'receiver.db-wal',
      'receiver.db-shm',
      'receiver.db.lock',
      'backup.db',
      'record.json',
      'job.json',
      'files.jsonl',
    ]
    for (const name of names)
      expect(
        made.some((path) => path.endsWith(`/${name}`)),
        name,
      ).toBe(true)
    for (const path of made) {
      const stats = statSync(path)
      expect((stats.mode & 0o777).toString(8), path).toBe(stats.isDirectory() ? '700' : '600')
    }
  })
})

describe('a command needs only the settings that it uses', () => {
  it('send-test the signing secret; jobs and backup the places', async () => {
    const { folder, env, url } = await settings()
    const service = spawnReceiver(['serve'], env)
    await service.line(isReady)
    const { SVIX_WEBHOOK_SECRET = '', DATABASE_URL = '', RESULTS_URL = '' } = env
    const wrong = { PORT: 'wrong', RETENTION: '1d' }
    const runs: [string[], Record<string, string>][] = [
      [['send-test', 'ping', '--to', `${url}/webhook`], { SVIX_WEBHOOK_SECRET }],
      [['jobs', 'list'], { DATABASE_URL, RESULTS_URL }],
      [['backup', join(folder, 'copy.db')], { DATABASE_URL }],
    ]
    for (const [args, needs] of runs)
      expect(await ends(spawnReceiver(args, { ...needs, ...wrong })), args.join(' ')).toMatchObject({ code: 0 })
    expect(existsSync(join(folder, 'copy.db'))).toBe(true)
  })
})

function post(url: string, body: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        response.resume().on('end', () => resolve(response.statusCode!))
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
