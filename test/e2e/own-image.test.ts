import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { codeBlocks, fileText, instructions, ROOT } from '../deploy/support.ts'
import { freePort } from '../support/port.ts'
import { testPostgres } from '../support/postgres.ts'
import { isReady, spawnReceiver } from '../support/process.ts'
import { delivery, signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

const postgres = testPostgres()

/** What the image holds in `/app`: the files that its Dockerfile copies, and the packages for production. */
function makeImage(app: string): void {
  const copied = instructions(fileText('Dockerfile')).flatMap(([name, rest]) =>
    name === 'COPY' && !rest.startsWith('--') ? rest.split(' ').slice(0, -1) : [],
  )
  for (const path of new Set(copied)) cpSync(join(ROOT, path), join(app, path), { recursive: true })
  const runs = instructions(fileText('Dockerfile')).filter(([name]) => name === 'RUN')
  for (const [, command] of runs)
    if (/^(printf|npm) /.test(command)) execFileSync('sh', ['-c', command], { cwd: app, stdio: 'pipe' })
}

it('the image has one Node, its own', () => {
  const app = tempFolder()
  makeImage(app)
  expect(existsSync(join(app, 'node_modules/svix'))).toBe(true)
  expect(existsSync(join(app, 'node_modules/.bin/node'))).toBe(false)
  expect(existsSync(join(app, 'node_modules/vitest'))).toBe(false)
}, 180_000)

/** Follows the Dockerfile of docs/deployment.md in `app`, without a container engine. Returns the environment it sets. */
function buildOn(app: string, context: string): Record<string, string> {
  const [dockerfile = ''] = codeBlocks(fileText('docs/deployment.md'), 'dockerfile')
  const env: Record<string, string> = {}
  for (const [name, rest] of instructions(dockerfile)) {
    const [first = '', second = ''] = rest.split(' ')
    if (name === 'RUN') execFileSync('sh', ['-c', rest], { cwd: app, stdio: 'pipe' })
    else if (name === 'COPY') cpSync(join(context, first), join(app, second), { recursive: true })
    else if (name === 'ENV') Object.assign(env, Object.fromEntries([rest.split('=')]))
    else expect(['FROM', 'USER']).toContain(name)
  }
  return env
}

it('an image that is built on ours as docs/deployment.md shows runs a handler with a package of its own', async () => {
  const [app, context, data] = [tempFolder(), tempFolder(), tempFolder()]
  makeImage(app)
  mkdirSync(join(context, 'handlers'))
  cpSync(join(ROOT, 'handlers/examples/invoice-to-postgres.ts'), join(context, 'handlers/invoice.ts'))
  const env = buildOn(app, context)
  expect(env.HANDLER).toBe('./handlers/invoice.ts')

  const reducto = await testReducto()
  const secret = newSecret()
  const port = String(await freePort())
  const settings = { ...testEnv(data, reducto, secret), ...env, PORT: port, INVOICES_DATABASE_URL: postgres.url }
  const service = spawnReceiver(['serve'], settings, app, join(app, 'src/bin.js'))
  await service.line(isReady)
  const jobId = reducto.addJob({ kind: 'extract' })
  const { body } = delivery(jobId)
  await fetch(`http://127.0.0.1:${port}/webhook`, { method: 'POST', headers: signed(secret, body), body })
  expect(await service.line((line) => line.msg === 'job' && line.stage === 'hand_over')).toMatchObject({
    outcome: 'done',
  })
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  onTestFinished(() => client.end())
  expect((await client.query('SELECT job_id FROM invoice')).rows).toEqual([{ job_id: jobId }])
}, 180_000)
