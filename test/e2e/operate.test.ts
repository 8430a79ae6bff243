import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newMessageId, newSecret } from '../../src/signing.ts'
import type { Reducto } from '../../src/simulator/reducto.ts'
import { freePort } from '../support/port.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** What an operator does beside a running service: looks, pauses, finds by metadata, reads again, erases. */

const BIN = resolve(import.meta.dirname, '../../src/bin.js')
const HANDLER = resolve(import.meta.dirname, '../support/handler.ts')

type Running = {
  readonly service: RealProcess
  readonly reducto: Reducto
  readonly env: Record<string, string>
  post(body: unknown, id?: string): Promise<Response>
  deliver(jobId: string, metadata?: unknown): Promise<unknown>
  run(...args: string[]): Promise<{ output: string; code: number | null }>
  json(...args: string[]): Promise<Record<string, unknown> & { rows: Record<string, unknown>[] }>
}

async function start(more: Record<string, string> = {}): Promise<Running> {
  const reducto = await testReducto()
  const secret = newSecret()
  const port = String(await freePort())
  const env: Record<string, string> = { ...testEnv(tempFolder(), reducto, secret), PORT: port, HANDLER, ...more }
  const service = spawnReceiver(['serve'], env)
  await service.line(isReady)
  const post = async (payload: unknown, id?: string) => {
    const body = typeof payload === 'string' ? payload : JSON.stringify(payload)
    return fetch(`http://127.0.0.1:${port}/webhook`, { method: 'POST', headers: signed(secret, body, id), body })
  }
  const run: Running['run'] = async (...args) => {
    const command = spawnReceiver(args, env)
    return { code: await command.exited, output: command.output() }
  }
  return {
    ...{ service, reducto, env, post, run },
    async deliver(jobId, metadata = null) {
      await post({ status: 'Completed', job_id: jobId, metadata })
      await service.line((line) => line.msg === 'job' && line.jobId === jobId)
    },
    json: async (...args) => JSON.parse((await run(...args, '--json')).output),
  }
}

const readyz = async ({ env }: Running) => (await fetch(`http://127.0.0.1:${env.PORT}/readyz`)).json()

const isPaused = ({ msg, cause }: { msg?: unknown; cause?: unknown }) => msg === 'degraded' && cause === 'worker_paused'

describe('a pause', () => {
  it('is seen everywhere with its reason, outlives the service, and ends', async () => {
    const on = await start()
    expect(await on.run('status')).toMatchObject({ code: 0, output: expect.stringContaining('All is well.') })
    const paused = await on.run('pause', '--reason', 'upgrade of the CRM')
    expect(paused).toMatchObject({ code: 0, output: expect.stringMatching(/^Paused: deliveries are accepted/) })
    const line = await on.service.line(isPaused)
    expect(line).toMatchObject({
      reason: expect.stringContaining('upgrade of the CRM'),
      since: expect.stringMatching(/Z$/),
    })
    expect(await readyz(on)).toMatchObject({
      degraded: ['worker_paused'],
      details: { worker_paused: { message: expect.stringContaining('upgrade of the CRM'), since: line.since } },
    })
    const jobId = on.reducto.addJob()
    await on.post({ status: 'Completed', job_id: jobId })
    expect(await on.run('status')).toEqual({
      code: 1,
      output: expect.stringMatching(
        /Paused +since .*: upgrade of the CRM[\s\S]*1 queued[\s\S]*Oldest waiting +\S+[\s\S]*Needs a person:[\s\S]*paused by a person \(upgrade of the CRM\)/,
      ),
    })
    expect(await on.service.end('SIGTERM')).toBe(0)

    expect(await on.run('status')).toMatchObject({
      code: 1,
      output: expect.stringContaining('not running; last started'),
    })
    const again = spawnReceiver(['serve'], on.env)
    await again.line(isReady)
    await again.line(isPaused)
    expect(await on.json('status')).toMatchObject({
      ...{ is_running: true, pause: { reason: 'upgrade of the CRM' }, jobs: { queued: 1 } },
      needs: [{ code: 'worker_paused' }],
    })
    expect(on.reducto.fetches.get(jobId)).toBeUndefined()
    expect(await on.run('jobs', 'retry', jobId)).toMatchObject({
      output: expect.stringMatching(
        /The worker has been paused since .* \(upgrade of the CRM\): they wait until `resume`/,
      ),
    })
    expect((await on.run('resume')).output).toMatch(/^Resumed: it was paused since /)
    await again.line(({ msg, cause }) => msg === 'recovered' && cause === 'worker_paused')
    await again.line((one) => one.msg === 'job' && one.jobId === jobId)
    expect(await readyz(on)).toEqual({ status: 'ready' })
    expect((await on.run('resume')).output).toBe('It was not paused.\n')
  })
})

describe('jobs', () => {
  it('are found by metadata and by the start of their ids, retried until they are done, and erased', async () => {
    const on = await start()
    const [ada, bob] = ['aaaa-1', 'bbbb-2'].map((id) => on.reducto.addJob({ id }))
    await on.deliver(ada!, { user_id: 123, refuse: 'no such customer' })
    await on.deliver(bob!, { user_id: 124 })
    const found = async (...args: string[]) => (await on.json('jobs', 'list', ...args)).rows.map((row) => row.job_id)
    expect(await found('--metadata', 'user_id=123')).toEqual([ada])
    expect(await found('--metadata', 'user_id=12')).toEqual([])
    expect(await found('--code', 'refused', '--stage', 'hand_over')).toEqual([ada])
    expect(await found('--code', 'refuse')).toEqual([])
    expect((await on.run('jobs', 'show', 'aaaa')).output).toMatch(/^Job +aaaa-1/)
    expect(await on.run('jobs', 'show', 'zzzz')).toEqual({ code: 1, output: 'there is no job zzzz\n' })

    const waited = await on.run('jobs', 'retry', 'aaaa', '--wait', '--timeout', '30s')
    expect(waited).toEqual({
      code: 1,
      output: '1 job will be queued again\n1 job ended dead: jobs list --state dead says why\n',
    })
    expect(await on.run('jobs', 'replay', 'bbbb', '--wait')).toEqual({
      code: 0,
      output: '1 job will be handed over again\n',
    })

    const dry = await on.run('jobs', 'delete', '--metadata', 'user_id=123', '--dry-run')
    expect(dry.output).toMatch(/^1 job would be erased: result, metadata and bodies\n {2}aaaa-1 /)
    const [, bounds] = /add: (--until .*)\n/.exec(dry.output)!
    const erased = await on.run('jobs', 'delete', '--metadata', 'user_id=123', ...bounds!.split(' '))
    expect(erased).toEqual({ code: 0, output: '1 job erased: result, metadata and bodies\n' })
    expect(await on.json('jobs', 'show', ada!)).toMatchObject({
      metadata: null,
      record: null,
      reason: { code: 'erased' },
    })
    expect(await on.json('jobs', 'show', bob!)).toMatchObject({ metadata: { user_id: 124 } })
  })

  it('are not replayed where nothing would be called', async () => {
    const on = await start({ HANDLER: '' })
    await on.deliver(on.reducto.addJob({ id: 'saved' }))
    expect(await on.run('jobs', 'replay', 'saved')).toEqual({
      code: 1,
      output: expect.stringMatching(/^there is nothing to call: neither HANDLER nor FORWARD_URL is set/),
    })
  })
})

describe('causes and actions', () => {
  it('are shown, and jobs of one cause are found, retried and deleted', async () => {
    const on = await start()
    for (const [id, refuse] of Object.entries({ a: 'customer 1', b: 'customer 22', c: 'out of luck' }))
      await on.deliver(on.reducto.addJob({ id }), { refuse })
    const cause = 'refused: customer #'
    const causes = await on.run('jobs', 'causes')
    expect(causes.output).toMatch(
      /^JOBS +LAST DIED +FIRST +SUCH AS\n1 .* c\n {4}refused: out of luck\n2 .* b\n {4}refused: customer #\n$/,
    )
    expect(await on.json('jobs', 'causes')).toMatchObject({
      causes: [{ jobs: 1 }, { cause, jobs: 2, code: 'refused', sample: 'b', last_at: expect.stringMatching(/Z$/) }],
      searched_to: null,
    })
    expect((await on.json('jobs', 'list', '--cause', cause)).rows.map((row) => row.job_id)).toEqual(['b', 'a'])
    expect(await on.json('jobs', 'replay', '--cause', cause, '--dry-run')).toMatchObject({ jobs: 2, expect: 2 })
    expect(await on.run('jobs', 'retry', '--cause', cause, '--wait')).toMatchObject({
      output: expect.stringContaining('2 jobs will be queued again'),
    })
    expect((await on.run('jobs', 'delete', '--cause', cause)).output).toMatch(/^2 jobs erased/)
    expect((await on.json('jobs', 'causes')).causes).toHaveLength(1)
    const listed = await on.run('actions', 'list', '--wide')
    expect(listed.output).toMatch(
      /^WHEN +WHAT +FOR +WHO +ROLE +WHICH\n.* erase +2 +cli:\S+ +cli +\{"cause":"refused: customer #"\}\n.* retry +2 +cli:/,
    )
    const first = await on.json('actions', 'list', '--limit', '1')
    expect(first).toMatchObject({
      rows: [{ what: 'erase', role: 'cli', count: 2, ids: ['b', 'a'], filter: { cause } }],
      next: expect.stringMatching(/^\d+$/),
    })
    expect(await on.json('actions', 'list', '--cursor', String(first.next))).toMatchObject({
      ...{ rows: [{ what: 'retry', filter: { state: 'dead', cause } }], next: null },
    })
  })

  it('a deletion bounds deliveries that concern no job too', async () => {
    const on = await start()
    await on.deliver(on.reducto.addJob({ id: 'aaaa' }), { user_id: 1 })
    await on.post({ metadata: { user_id: 1 } })
    const which = ['jobs', 'delete', '--metadata', 'user_id=1']
    const dry = await on.run(...which, '--dry-run')
    expect(dry.output).toMatch(
      /^1 job would be erased: .*\n {2}aaaa .*\n1 delivery that concerned no job: the body would be erased too\nTo do it with these and no others, add: --until \S+ --expect 2\n$/,
    )
    expect(await on.json(...which, '--dry-run')).toMatchObject({ jobs: 1, deliveries: 1, expect: 2 })
    expect(await on.run(...which, '--expect', '1')).toMatchObject({
      ...{ code: 1, output: expect.stringMatching(/1 jobs and 1 deliveries without a job match, not 1 in all/) },
    })
    expect(await on.run(...which, '--expect', '2')).toEqual({
      code: 0,
      output: '1 job erased: result, metadata and bodies\n1 delivery that concerned no job: the body was erased too\n',
    })
  })
})

describe('deliveries', () => {
  it('are listed and shown with their bodies, also those that were not understood, and read again', async () => {
    const on = await start()
    const [ping, bad, job] = [newMessageId(), newMessageId(), newMessageId()]
    await on.post({ success: true }, ping)
    await on.post({ job_id: 'a b', status: 'Completed' }, bad)
    const jobId = on.reducto.addJob({ id: 'job-1' })
    await on.post({ status: 'Completed', job_id: jobId }, job)
    const listed = await on.run('deliveries', 'list', '--wide')
    expect(listed.output).toMatch(/^DELIVERY +TAKEN AS +RECEIVED +TIMES +ENDPOINT +STATUS +JOB +NOTE\n/)
    expect(listed.output).toMatch(new RegExp(`${job} +job .* Completed +job-1`))
    expect((await on.json('deliveries', 'list', '--disposition', 'rejected')).rows).toMatchObject([{ svix_id: bad }])
    expect((await on.run('deliveries', 'show', bad)).output).toMatch(
      /Taken as +rejected\nWhy +job_id must be[\s\S]*\{"job_id":"a b","status":"Completed"\}/,
    )
    expect(await on.run('deliveries', 'retry', '--disposition', 'ignored')).toEqual({
      code: 0,
      output: '0 deliveries name a job now, which is queued\n1 still names none\n',
    })
    expect(await on.run('deliveries', 'retry', job, 'msg_nobody')).toEqual({
      code: 1,
      output: expect.stringMatching(
        /msg_nobody: there is no such delivery\n.*: concerns job job-1 already: retry that one/,
      ),
    })
    expect(await on.run('status')).toMatchObject({ code: 1, output: expect.stringContaining('were not understood') })
  })
})

describe('output', () => {
  it('that nobody reads any more ends quietly', async () => {
    const on = await start()
    await on.deliver(on.reducto.addJob(), { text: 'x'.repeat(200_000) })
    const script = `"${process.execPath}" "${BIN}" jobs list --wide | head -c 10; echo "ended \${PIPESTATUS[0]}"`
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
      env: { PATH: process.env.PATH, ...on.env },
      encoding: 'utf8',
    })
    expect({ stdout, stderr }).toEqual({ stdout: 'JOB       ended 0\n', stderr: '' })
  })
})
