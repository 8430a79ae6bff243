import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import type { Reducto } from '../../src/simulator/reducto.ts'
import { freePort } from '../support/port.ts'
import { isReady, type Line, type RealProcess, spawnReceiver } from '../support/process.ts'
import { sampleValue } from '../support/prometheus.ts'
import { signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** Troubles, made on purpose: each is named by /readyz, the log, `status`, a metric and the API within ten seconds. */

const HANDLER = resolve(import.meta.dirname, '../support/handler.ts')
const TOKEN = 'a-token-that-reads-1'
/** By then each place names the trouble, ms. */
const WITHIN_MS = 10_000

type On = {
  readonly service: RealProcess
  readonly reducto: Reducto
  readonly folder: string
  post(body: object): Promise<Response>
  run(...args: string[]): Promise<string>
  get(path: string): Promise<string>
}

type TroubleCase = {
  readonly name: string
  readonly env?: Readonly<Record<string, string>>
  readonly make: (on: On) => Promise<unknown>
  /** Of /readyz and its line in the log; null where the trouble is a job's own. */
  readonly degraded: string | null
  readonly isLogged: (line: Line) => boolean
  /** What `status` says. */
  readonly status: RegExp
  readonly metric: readonly [name: string, labels: Readonly<Record<string, string>>]
  /** What a page is made from: its path in the API, and what it says. */
  readonly shown: readonly [path: string, text: RegExp]
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<On> {
  const [reducto, folder, secret, port] = [await testReducto(), tempFolder(), newSecret(), String(await freePort())]
  const all: Record<string, string> = {
    ...{ ...testEnv(folder, reducto, secret), PORT: port, HANDLER },
    ...{ ADMIN_TOKEN: 'a-token-that-writes', ADMIN_READ_TOKEN: TOKEN, ...env },
  }
  const service = spawnReceiver(['serve'], all)
  await service.line(isReady)
  const url = `http://127.0.0.1:${port}`
  return {
    ...{ service, reducto, folder },
    post(payload) {
      const body = JSON.stringify(payload)
      return fetch(`${url}/webhook`, { method: 'POST', headers: signed(secret, body), body })
    },
    async run(...args) {
      const command = spawnReceiver(args, all)
      await command.exited
      return command.output()
    },
    get: async (path) => (await fetch(url + path, { headers: { authorization: `Bearer ${TOKEN}` } })).text(),
  }
}

/** A job that the service learns of. */
const announce = ({ post, reducto }: On, id: string, metadata: unknown = null) =>
  post({ status: 'Completed', job_id: reducto.addJob({ id }), metadata })

const isDegraded = (name: string) => (line: Line) => line.msg === 'degraded' && line.cause === name

const CASES: readonly TroubleCase[] = [
  {
    name: 'a pause by a person',
    make: (on) => on.run('pause', '--reason', 'upgrade'),
    ...{ degraded: 'worker_paused', isLogged: isDegraded('worker_paused'), status: /paused by a person \(upgrade\)/ },
    metric: ['paused', { cause: 'operator' }],
    shown: ['/api/stats', /"paused_by":\["operator"\]/],
  },
  {
    name: 'a wrong key',
    env: { REDUCTO_API_KEY: 'a-key-that-is-not-known' },
    make: (on) => announce(on, 'job-1'),
    ...{ degraded: 'reducto_auth', isLogged: isDegraded('reducto_auth'), status: /REDUCTO_API_KEY/ },
    metric: ['paused', { cause: 'reducto_auth' }],
    shown: ['/api/stats', /"paused_by":\["reducto_auth"\]/],
  },
  {
    name: 'signed deliveries that are not understood',
    async make(on) {
      for (const number of [1, 2, 3]) await on.post({ event: 'job.finished', number })
    },
    ...{ degraded: 'payload', isLogged: isDegraded('payload'), status: /last 3 signed deliveries were not understood/ },
    metric: ['deliveries_total', { endpoint: 'default', outcome: 'ignored' }],
    shown: ['/api/deliveries?disposition=ignored', /"disposition":"ignored"/],
  },
  {
    name: 'a results store that cannot be written',
    async make(on) {
      const results = join(on.folder, 'results')
      mkdirSync(results, { recursive: true })
      renameSync(results, join(on.folder, 'gone'))
      writeFileSync(results, 'a file in the place of the folder')
      await announce(on, 'job-1')
    },
    ...{ degraded: 'results', isLogged: isDegraded('results'), status: /results/ },
    metric: ['paused', { cause: 'results' }],
    shown: ['/api/stats', /"paused_by":\["results"\]/],
  },
  {
    name: 'a disk with too little room',
    env: { MIN_FREE_DISK: '900tb' },
    make: (on) => announce(on, 'job-1'),
    ...{ degraded: 'disk', isLogged: isDegraded('disk'), status: /MIN_FREE_DISK/ },
    metric: ['paused', { cause: 'disk' }],
    shown: ['/api/stats', /"paused_by":\["disk"\]/],
  },
  {
    name: 'a handler that fails',
    env: { HANDLER: resolve(import.meta.dirname, '../support/broken-handler.ts') },
    async make(on) {
      for (let number = 1; number <= 6; number++) await announce(on, `job-${number}`)
    },
    ...{ degraded: 'handler', isLogged: isDegraded('handler'), status: /calls of the handler failed.*the CRM is down/ },
    metric: ['handler_failing', {}],
    shown: ['/api/jobs?code=handler', /the CRM is down/],
  },
  {
    name: 'a dead job',
    make: (on) => announce(on, 'job-1', { document: 'invoice-7.pdf', refuse: 'no such customer' }),
    degraded: null,
    isLogged: (line) => line.msg === 'job' && line.jobId === 'job-1' && line.state === 'dead',
    status: /1 dead/,
    metric: ['settled_total', { type: 'Parse', outcome: 'dead' }],
    shown: ['/api/jobs?state=dead', /"reason":\{"code":"refused".*"document":"invoice-7.pdf"/],
  },
]

describe('named within ten seconds everywhere:', () => {
  it.each(CASES)('$name', async ({ env, make, degraded, isLogged, status, metric, shown }) => {
    const on = await start(env)
    await make(on)
    const soon = { timeout: WITHIN_MS, interval: 100 }
    await Promise.all([
      on.service.line(isLogged),
      vi.waitFor(async () => {
        const { degraded: names = [] } = JSON.parse(await on.get('/readyz')) as { degraded?: string[] }
        if (degraded !== null) expect(names).toContain(degraded)
      }, soon),
      vi.waitFor(async () => expect(sampleValue(await on.get('/metrics'), ...metric)).toBeGreaterThan(0), soon),
      vi.waitFor(async () => expect(await on.get(shown[0])).toMatch(shown[1]), soon),
    ])
    expect(await on.run('status')).toMatch(status)
  })
})
