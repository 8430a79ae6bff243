import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freePort } from '../support/port.ts'
import { tempFolder } from '../support/temp.ts'
import { hasOpenssl, makeCertificate } from './certificates.ts'
import { expectCause, expectHealthy, type Running, startService } from './support.ts'

/** With the proxies that people use, where this machine has them. */

const has = (program: string) => spawnSync(program, ['-h'], { stdio: 'ignore' }).error === undefined

/** Starts a proxy, which listens on `port` soon, and ends with the test. */
async function run(program: string, args: readonly string[], port: number, folder: string): Promise<void> {
  const child = spawn(program, args, { cwd: folder, stdio: 'pipe', env: { PATH: process.env.PATH, HOME: folder } })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      printed += data
    })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await ended
  })
  while (!(await takesConnections(port))) {
    if (child.exitCode !== null) throw new Error(`${program} ended:\n${printed}`)
    await delay(20)
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}

/** nginx in front of a service. `location` and `server`: directives of those blocks. */
async function nginx({ url }: Running, location = '', server = ''): Promise<string> {
  const [folder, port] = [tempFolder(), await freePort()]
  mkdirSync(join(folder, 'tmp'))
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path tmp/${name};`)
  writeFileSync(
    join(folder, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; pid nginx.pid; error_log stderr; worker_processes 1; events {}
     http { access_log off; ${paths.join(' ')}
       server { listen 127.0.0.1:${port}; ${server} location / { ${location || `proxy_pass ${url};`} } } }`,
  )
  await run('nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')], port, folder)
  return `http://127.0.0.1:${port}`
}

/** Caddy in front of a service, with these directives. */
async function caddy(directives: string, scheme = 'http'): Promise<string> {
  const [folder, port] = [tempFolder(), await freePort()]
  writeFileSync(
    join(folder, 'Caddyfile'),
    `{\n admin off\n auto_https disable_redirects\n skip_install_trust\n}\n${scheme}://localhost:${port} {\n${directives}\n}\n`,
  )
  await run('caddy', ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], port, folder)
  return `${scheme}://localhost:${port}`
}

describe.runIf(has('nginx'))('nginx', () => {
  it('that only passes on brings no problem', async () => {
    const on = await startService()
    expectHealthy(await on.doctor({ PUBLIC_URL: await nginx(on) }))
  })

  it.for([
    [
      'that drops a header',
      (url: string) => `proxy_set_header svix-signature ""; proxy_pass ${url};`,
      '',
      { delivery: /svix-signature did not arrive/, 'large body': /./ },
    ],
    [
      'with a small client_max_body_size',
      (url: string) => `proxy_pass ${url};`,
      'client_max_body_size 100k;',
      { 'large body': /answered with 413, and not by this service/ },
    ],
    ['that redirects', () => 'return 301 https://other.example$request_uri;', '', { answer: /answers 301/ }],
    ['that answers by itself', () => 'return 200 "ok";', '', { answer: /something else answers/ }],
    ['that adds a slash', () => 'rewrite ^(.*[^/])$ $1/ permanent;', '', { answer: /answers 301/ }],
    ['without a service behind', () => 'proxy_pass http://127.0.0.1:1;', '', { answer: /answers 502/ }],
    ['that asks for a password', () => 'auth_basic x; auth_basic_user_file /dev/null;', '', { answer: /answers 401/ }],
  ] as const)('%s', async ([_what, location, server, causes]) => {
    const on = await startService()
    const report = await on.doctor({ PUBLIC_URL: await nginx(on, location(on.url), server) })
    expectCause(report, causes)
  })
})

describe.runIf(has('caddy'))('Caddy', () => {
  it('brings no problem', async () => {
    const on = await startService()
    expectHealthy(await on.doctor({ PUBLIC_URL: await caddy(`reverse_proxy ${on.url}`) }))
  })

  it.runIf(hasOpenssl)('with a certificate that this machine trusts brings no problem', async () => {
    const on = await startService()
    const { ca, cert, key } = makeCertificate()
    const folder = tempFolder()
    writeFileSync(join(folder, 'cert.pem'), cert)
    writeFileSync(join(folder, 'key.pem'), key)
    const tls = `tls ${join(folder, 'cert.pem')} ${join(folder, 'key.pem')}`
    const url = await caddy(`${tls}\nreverse_proxy ${on.url}`, 'https')
    expectHealthy(await on.doctor({ PUBLIC_URL: url, NODE_EXTRA_CA_CERTS: ca }))
    expect((await on.doctor({ PUBLIC_URL: url })).of('certificate')).toMatchObject({ status: 'problem' })
  })

  it.for([
    [
      'that drops a header',
      (url: string) => `request_header -svix-id\nreverse_proxy ${url}`,
      { delivery: /svix-id did not arrive/, 'large body': /./ },
    ],
    ['that redirects', () => 'redir https://other.example{uri}', { answer: /answers 302/ }],
    ['that answers by itself', () => 'respond "ok" 200', { answer: /something else answers/ }],
    [
      'that takes only small bodies',
      (url: string) => `request_body {\n max_size 100KB\n}\nreverse_proxy ${url}`,
      { 'large body': /413|502|400/ },
    ],
    [
      'that serves another path',
      (url: string) => `handle_path /hooks/* {\n reverse_proxy ${url}\n}`,
      { answer: /something else answers/ },
    ],
  ] as const)('%s', async ([_what, directives, causes]) => {
    const on = await startService()
    expectCause(await on.doctor({ PUBLIC_URL: await caddy(directives(on.url)) }), causes)
  })
})
