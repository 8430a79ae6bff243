import { createHash, randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { listening } from '../doctor/proxy.ts'
import { isReady, spawnReceiver } from '../support/process.ts'
import { testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** `submit`, `dashboard`, `jobs add` and `reconcile`, as processes beside a running service, against the simulator. */

async function start() {
  const folder = tempFolder()
  // Submitted jobs end when they are told to.
  const reducto = await testReducto({ jobTime: 3_600_000 })
  const env = testEnv(folder, reducto, newSecret())
  const service = spawnReceiver(['serve'], env)
  await service.line(isReady)
  async function run(...args: string[]) {
    const command = spawnReceiver(args, env, folder)
    return { code: await command.exited, output: command.output() }
  }
  const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).output)
  const shown = async (jobId: string) => json('jobs', 'show', jobId)
  return { env, folder, reducto, service, run, json, shown }
}

describe('submit', () => {
  it('submits every kind with its webhook settings where it has them, and registers the jobs', async () => {
    const { folder, reducto, run, shown } = await start()
    writeFileSync(join(folder, 'pipeline.json'), '{"pipeline_id":"p1"}')
    writeFileSync(join(folder, 'edit.json'), '{"edit_instructions":"fill in","webhook":{"metadata":{"from":"file"}}}')
    const how = ['--channel', 'a', '--channel', 'b', '--metadata', '{"n":12345678901234567890}']
    expect(await run('submit', 'extract', 'https://example.com/a.pdf', ...how, '--endpoint', 'dev')).toMatchObject({
      code: 0,
    })
    await run('submit', 'split', 'jobid://1234')
    await run('submit', 'pipeline', 'reducto://abc.pdf', '--options', 'pipeline.json')
    await run('submit', 'edit', 'https://example.com/form.pdf', '--options', 'edit.json', '--channel', 'a')
    const bodies = reducto.submissions.map(({ body }) => JSON.stringify(body))
    expect(bodies).toEqual([
      expect.stringContaining('"mode":"svix"'),
      '{"input":"jobid://1234","async":{"webhook":{"mode":"svix"}}}',
      '{"pipeline_id":"p1","input":"reducto://abc.pdf","async":{"webhook":{"mode":"svix"}}}',
      '{"edit_instructions":"fill in","webhook":{"metadata":{"from":"file"},"channels":["a"],"mode":"svix"},"document_url":"https://example.com/form.pdf"}',
    ])
    expect(reducto.submissions[0]!.body).toMatchObject({ async: { webhook: { channels: ['a', 'b'] } } })
    const [extract, , , edit] = reducto.submissions
    expect(await shown(extract!.jobId)).toMatchObject({
      ...{ state: 'expected', endpoint: 'dev', metadata: { n: expect.anything() }, registered: { by: 'submit' } },
    })
    expect((await run('jobs', 'show', extract!.jobId, '--json')).output).toContain('12345678901234567890')
    expect(await shown(edit!.jobId)).toMatchObject({ state: 'expected', metadata: { from: 'file' } })
  }, 60_000)

  it('uploads files, read while they are sent, and submits many at once', async () => {
    const { folder, reducto, json } = await start()
    const digests = ['a', 'b', 'c'].map((name) => {
      const bytes = randomBytes(3_000_000)
      writeFileSync(join(folder, `${name}.pdf`), bytes)
      return createHash('sha256').update(bytes).digest('hex')
    })
    const { outcomes } = await json('submit', 'parse', 'a.pdf', 'b.pdf', 'c.pdf', 'https://example.com/d.pdf')
    expect(outcomes).toHaveLength(4)
    expect([...reducto.uploads.values()].map(({ sha256 }) => sha256).sort()).toEqual(digests.sort())
    const inputs = reducto.submissions.map(({ body }) => body.input)
    expect(inputs.sort()).toEqual([...reducto.uploads.keys(), 'https://example.com/d.pdf'].sort())
  }, 60_000)

  it('shows Reducto’s message, and never submits again what may have arrived', async () => {
    const { reducto, run, json } = await start()
    reducto.setAccountFault({ is: 'status', status: 422, body: { detail: [{ msg: 'schema: field required' }] } })
    const refused = await run('submit', 'extract', 'https://example.com/a.pdf')
    expect(refused).toMatchObject({ code: 1, output: expect.stringContaining('not submitted') })
    expect(refused.output).toContain('schema: field required')
    for (const fault of [{ is: 'status', status: 502 }, { is: 'body', body: '{}' }, { is: 'truncate' }] as const) {
      reducto.setAccountFault(fault)
      const lost = await run('submit', 'parse', 'https://example.com/a.pdf')
      expect(lost, fault.is).toMatchObject({ code: 1, output: expect.stringContaining('the job may exist') })
    }
    reducto.setAccountFault(null)
    reducto.loseAnswer()
    const { outcomes } = await json('submit', 'parse', 'https://example.com/a.pdf', 'https://example.com/b.pdf')
    expect(outcomes.map(({ is }: { is: string }) => is).sort()).toEqual(['lost', 'submitted'])
    expect(reducto.submissions).toHaveLength(2)
    // What was lost is found once it has ended.
    for (const { jobId } of reducto.submissions) reducto.end(jobId)
    expect((await json('reconcile', '--all')).queued.sort()).toEqual(
      reducto.submissions.map(({ jobId }) => jobId).sort(),
    )
  }, 60_000)

  it.each([
    [['submit', 'parse'], 'submit takes KIND INPUT'],
    [['submit', 'pars', 'https://example.com/a.pdf'], 'did you mean parse?'],
    [['submit', 'classify', 'https://example.com/a.pdf'], 'submit takes one of parse, extract, split, edit, pipeline'],
    [['submit', 'parse', 'missing.pdf'], 'there is no such file'],
    [['submit', 'parse', '.'], 'is no file'],
    [['submit', 'parse', '/dev/null'], 'is no file'],
    [['submit', 'parse', `./${'x'.repeat(300)}.pdf`], 'ENAMETOOLONG'],
    [['submit', 'parse', 'ftp://example.com/a.pdf'], 'inputs are files'],
    [['submit', 'parse', 'https://e.com/a', '--metadata', '{'], '--metadata takes JSON'],
    [['submit', 'parse', 'https://e.com/a', '--endpoint', '../x'], 'endpoint'],
    [['submit', 'parse', 'https://e.com/a', '--options', 'none.json'], 'cannot be read'],
    [['submit', 'parse', 'https://e.com/a', '--concurrency', '0'], 'from 1 to 32'],
    [['jobs', 'add', '../jobs'], 'is no job id'],
  ])('%s is wrong use, and submits nothing', async (args, message) => {
    const command = spawnReceiver(args, {}, tempFolder())
    expect(await command.exited).toBe(2)
    expect(command.output()).toContain(message)
  })
})

describe('submit, ended early', () => {
  /** A Reducto that answers submissions when told to, on sockets of its own. */
  async function slowReducto() {
    const asked: (() => void)[] = []
    const arrived = new EventEmitter()
    const server = createServer((request, response) => {
      request.resume().on('end', () => {
        asked.push(() => response.setHeader('content-type', 'application/json').end(`{"job_id":"job-${asked.length}"}`))
        arrived.emit('asked', asked.length)
      })
    })
    return { asked, arrived, url: `http://127.0.0.1:${await listening(server)}` }
  }

  async function interrupted(...args: string[]) {
    const on = await start()
    const { asked, arrived, url } = await slowReducto()
    const first = once(arrived, 'asked')
    const command = spawnReceiver(
      ['submit', 'parse', ...args, '--concurrency', '1'],
      { ...on.env, REDUCTO_BASE_URL: url },
      on.folder,
    )
    await first
    return { asked, command, shown: on.shown }
  }

  const INPUTS = ['https://example.com/a.pdf', 'https://example.com/b.pdf']

  it('awaits the answer that is under way, registers its job, and submits nothing more', async () => {
    const { asked, command, shown } = await interrupted(...INPUTS)
    command.child.kill('SIGINT')
    await once(command.child.stderr!, 'data')
    asked[0]!()
    expect(await command.exited).toBe(1)
    expect(command.output()).toContain('Stopping: nothing more is submitted, and the answers of 1 input are awaited')
    expect(command.output()).toContain('1 input was not submitted: stopped by SIGINT')
    expect(await shown('job-1')).toMatchObject({ state: 'expected' })
    expect(asked).toHaveLength(1)
  }, 60_000)

  it('does the same when nobody reads its output any more', async () => {
    const { asked, command, shown } = await interrupted(...INPUTS, ...INPUTS.map((url) => `${url}?2`))
    command.child.stdout!.destroy()
    asked[0]!()
    await command.exited
    const { length } = asked
    expect(length).toBeLessThan(3)
    expect(await shown('job-1')).toMatchObject({ state: 'expected' })
  }, 60_000)
})

describe('submit of files', () => {
  it('refuses an empty one before anything is sent, and names one that vanishes as that', async () => {
    const { folder, reducto, run } = await start()
    writeFileSync(join(folder, 'empty.pdf'), '')
    expect(await run('submit', 'parse', 'https://example.com/a.pdf', 'empty.pdf')).toMatchObject({
      code: 2,
      output: expect.stringContaining('empty.pdf: is empty'),
    })
    expect(reducto.submissions).toEqual([])
  }, 60_000)

  it('stops at the first refusal of the key', async () => {
    const { folder, reducto, run } = await start()
    const names = Array.from({ length: 12 }, (_, n) => `${n}.pdf`)
    for (const name of names) writeFileSync(join(folder, name), name)
    reducto.setAccountFault({ is: 'status', status: 401, body: { detail: 'Invalid API key' } })
    const { code, output } = await run('submit', 'parse', ...names, '--concurrency', '1')
    expect(code).toBe(1)
    expect(output).toContain('11 inputs were not submitted: Reducto refuses the key')
    expect(output.match(/Invalid API key/g)!.length).toBeLessThan(4)
  }, 60_000)
})

it('dashboard prints the link, and says what it is', async () => {
  const { run, json } = await start()
  const { output, code } = await run('dashboard')
  expect(output).toContain('https://app.svix.com/login#key=simulated')
  expect(output).toContain('like a password')
  expect(code).toBe(0)
  expect(await json('dashboard')).toEqual({ url: 'https://app.svix.com/login#key=simulated' })
}, 60_000)

it('jobs add registers what was submitted elsewhere; reconcile queues it, and the service saves it', async () => {
  const { reducto, service, run, json, shown } = await start()
  const ids = [reducto.addJob({ id: 'job-ended' }), reducto.addJob({ id: 'job-pending', status: 'Pending' })]
  expect(await json('jobs', 'add', ...ids, '--metadata', '{"user":"Ada"}')).toEqual({ expected: ids, known: [] })
  expect(await json('reconcile', '--dry-run')).toMatchObject({ queued: ['job-ended'], processing: 1, dry_run: true })
  expect((await run('reconcile')).output).toContain('1 job ended without a webhook and queued; 1 still processing')
  await service.line((line) => line.msg === 'job' && line.jobId === 'job-ended' && line.state === 'done')
  expect(await shown('job-ended')).toMatchObject({ state: 'done', metadata: { user: 'Ada' }, deliveries: [] })
  expect((await shown('job-ended')).record).toMatchObject({ metadata: { user: 'Ada' }, svix_id: null })
  const again = await run('jobs', 'add', 'job-ended')
  expect(again).toMatchObject({ code: 0, output: expect.stringContaining('is known already and stays as it is') })
  expect(await json('reconcile', '--all')).toMatchObject({ queued: [], processing: 1 })
}, 60_000)
