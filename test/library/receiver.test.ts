import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import express, { type Express } from 'express'
import request from 'supertest'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createReceiver, type Handler, Permanent, type Receiver, type ReceiverOptions } from '../../src/index.ts'
import type { Reducto } from '../../src/simulator/reducto.ts'
import { deliver, jobEnd, newSigningSecret, signDelivery, testSettings } from '../../src/testing.ts'
import { CERTIFICATE } from '../support/certificate.ts'
import { sampleValue } from '../support/prometheus.ts'
import { testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

type Rig = {
  readonly app: Express
  readonly receiver: Receiver
  readonly reducto: Reducto
  readonly secret: string
  readonly folder: string
  readonly lines: readonly (readonly [level: string, message: string, fields: object])[]
}

/** An app as people have one: the receiver first, then a parser and routes of its own. */
async function rig(options: Partial<ReceiverOptions> = {}, mount = '/reducto', reducto?: Reducto): Promise<Rig> {
  const simulated = reducto ?? (await testReducto())
  const [secret, folder] = [newSigningSecret(), tempFolder()]
  const lines: (readonly [string, string, object])[] = []
  const line = (level: string) => (fields: object, message: string) => void lines.push([level, message, fields])
  const log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  const receiver = createReceiver({
    log,
    ...options,
    settings: { ...testSettings(simulated, folder, secret), ...options.settings },
  })
  onTestFinished(() => receiver.stop())
  const app = express()
  app.use(mount, receiver.router)
  app.use(express.json())
  app.post('/orders', (request, response) => void response.json(request.body))
  app.use((_request, response) => void response.status(404).send('of the app'))
  return { app, receiver, reducto: simulated, secret, folder, lines }
}

describe('in an app beside express.json()', () => {
  it('takes deliveries, saves results and calls the handler; the app’s own routes go on', async () => {
    const called: unknown[] = []
    const handler: Handler = async (result) => {
      if (result.status === 'Completed') called.push(await result.extracted())
    }
    const { app, receiver, reducto, secret, folder } = await rig({ handler })
    await receiver.start()
    const jobId = reducto.addJob({ kind: 'extract', metadata: { order: 7 } })
    const ended = jobEnd(receiver, jobId)
    const { headers, body } = signDelivery({ secret, jobId, metadata: { order: 7 } })

    await request(app).post('/reducto/webhook').set(headers).send(body).expect(200, { received: true })
    expect(await ended).toEqual({ state: 'done', reason: null })
    expect(called).toHaveLength(1)
    expect(JSON.parse(readFileSync(join(folder, 'results', jobId, 'record.json'), 'utf8'))).toMatchObject({
      job_id: jobId,
      metadata: { order: 7 },
    })
    await request(app).post('/orders').send({ item: 1 }).expect(200, { item: 1 })
    await request(app).get('/reducto/elsewhere').expect(404, 'of the app')
    await request(app).post('/reducto/webhook/other').set(headers).send(body).expect(404)
  })

  it('a module is a handler as well, and Permanent ends a job', async () => {
    const handler = {
      default: () => {
        throw new Permanent('not one of ours')
      },
    }
    const { app, receiver, reducto, secret } = await rig({ handler })
    await receiver.start()
    const jobId = reducto.addJob()
    const ended = jobEnd(receiver, jobId)
    expect(await deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')).toMatchObject({ status: 200 })
    expect(await ended).toEqual({ state: 'dead', reason: 'not one of ours' })
  })

  it('named endpoints have their own secrets and paths', async () => {
    const other = newSigningSecret()
    const { app, receiver, reducto, secret } = await rig({ settings: { SVIX_WEBHOOK_SECRET_OTHER: other } }, '/')
    await receiver.start()
    const jobId = reducto.addJob()
    expect((await deliver(app, signDelivery({ secret: other, jobId }), '/webhook/other')).status).toBe(200)
    expect((await deliver(app, signDelivery({ secret, jobId }), '/webhook/other')).status).toBe(401)
  })

  it('a body that express.json() has read is refused with the cure, told at the start and in the log', async () => {
    const { receiver, reducto, secret, lines } = await rig()
    const app = express()
    app.use(express.json())
    app.use('/late', receiver.router)
    await receiver.start()
    expect(lines).toContainEqual([
      'error',
      expect.stringMatching(/^express\.json\(\) is mounted before the receiver/),
      {},
    ])
    const jobId = reducto.addJob()
    expect(await deliver(app, signDelivery({ secret, jobId }), '/late/webhook')).toEqual({
      status: 500,
      body: { error: 'body_already_read', reason: expect.stringMatching(/mount the receiver before express\.json/) },
    })
    expect(lines).toContainEqual(['warn', 'refused', expect.objectContaining({ reason: 'body_already_read' })])
    expect(reducto.fetches.get(jobId)).toBeUndefined()
  })

  it('links of forwarded records lead through the path that it is mounted at', async () => {
    const forwarded = Promise.withResolvers<{ readonly job: { readonly url: string } }>()
    const shop = express().use(express.json({ limit: '2mb' }))
    shop.post('/hook', (request, response) => {
      forwarded.resolve(request.body)
      response.end()
    })
    const outer = express().use(shop)
    const server = createHttpServer(outer)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.close()
      server.closeAllConnections()
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { app, receiver, reducto, secret } = await rig({
      settings: { FORWARD_URL: `${url}/hook`, FORWARD_SECRET: newSigningSecret(), PUBLIC_URL: `${url}/reducto` },
    })
    outer.use(app)
    await receiver.start()
    const jobId = reducto.addJob()
    await deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')
    const { job } = await forwarded.promise
    expect(job.url).toContain(`${url}/reducto/results/${jobId}/job.json?`)
    const saved = await fetch(job.url)
    expect([saved.status, ((await saved.json()) as { status: string }).status]).toEqual([200, 'Completed'])
    const forged = job.url.replace(
      /signature=(.)/,
      (_: string, first: string) => `signature=${first === '_' ? '-' : '_'}`,
    )
    expect((await fetch(forged)).status).toBe(403)
  })

  it('over TLS a refusal reaches a client that still sends', async () => {
    const { app, receiver } = await rig()
    await receiver.start()
    const server = createServer(CERTIFICATE, app)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.close()
      server.closeAllConnections()
    })
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/reducto/webhook`
    const sent = request(url)
      .post('')
      .ca(CERTIFICATE.cert)
      .set('content-type', 'text/plain')
      .send('x'.repeat(3_000_000))
    await sent.expect(401)
  })
})

describe('start and stop', () => {
  it('before the start and after the stop deliveries are put off with a 503; it can be started again', async () => {
    const { app, receiver, reducto, secret } = await rig()
    const jobId = reducto.addJob()
    const send = () => deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')
    expect((await send()).status).toBe(503)
    expect(receiver.health()).toEqual({ ready: false, notReady: ['starting'], degraded: [] })
    for (const _ of [1, 2]) {
      await Promise.all([receiver.start(), receiver.start()])
      expect(receiver.health()).toEqual({ ready: true, notReady: [], degraded: [] })
      expect((await send()).status).toBe(200)
      await Promise.all([receiver.stop(), receiver.stop()])
      expect(receiver.health()).toEqual({ ready: false, notReady: ['draining'], degraded: [] })
      expect((await send()).status).toBe(503)
    }
  })

  it('a stop ends a start that is under way, and a start after it begins anew', async () => {
    const { receiver } = await rig()
    const first = receiver.start().then(
      () => 'started',
      (error: Error) => error.message,
    )
    await receiver.stop()
    expect(['started', 'the receiver was stopped while it started']).toContain(await first)
    expect(receiver.health().ready).toBe(false)
    const asked = await Promise.allSettled([receiver.start(), receiver.stop(), receiver.start()])
    expect(asked[2].status).toBe('fulfilled')
    expect(receiver.health().ready).toBe(true)
  })

  it('a stop without a start does nothing', async () => {
    const { receiver } = await rig()
    await receiver.stop()
    await receiver.start()
    expect(receiver.health().ready).toBe(true)
  })

  it('a start that fails says why, and the next one may succeed', async () => {
    const folder = tempFolder()
    const { receiver } = await rig({ settings: { HANDLER: join(folder, 'missing.ts') } })
    await expect(receiver.start()).rejects.toThrow(/HANDLER: there is no file/)
    await expect(receiver.start()).rejects.toThrow(/HANDLER: there is no file/)
    expect(receiver.health().ready).toBe(false)
  })

  it('what a stop interrupts is done after the next start', async () => {
    const entered = Promise.withResolvers<void>()
    let hang = true
    const handler: Handler = async (_result, { signal }) => {
      if (!hang) return
      entered.resolve()
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    }
    const { app, receiver, reducto, secret } = await rig({ handler })
    await receiver.start()
    const jobId = reducto.addJob()
    await deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')
    await entered.promise
    await receiver.stop()
    hang = false
    const ended = jobEnd(receiver, jobId)
    await receiver.start()
    expect((await ended).state).toBe('done')
    expect(reducto.fetches.get(jobId)).toBe(1)
  })

  it('when its database dies the app is told, deliveries are put off, and it can be started again', async () => {
    const threads: Worker[] = []
    const noted = (thread: Worker) => void threads.push(thread)
    process.on('worker', noted)
    onTestFinished(() => void process.off('worker', noted))
    const died = Promise.withResolvers<Error>()
    const { app, receiver, reducto, secret, lines } = await rig({
      onFatal(error) {
        died.resolve(error)
        throw new Error('of the app')
      },
    })
    await receiver.start()
    await threads[0]!.terminate()
    expect(await died.promise).toBeInstanceOf(Error)
    expect(receiver.health()).toMatchObject({ ready: false, notReady: ['inbox'] })
    const jobId = reducto.addJob()
    const send = () => deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')
    expect((await send()).status).toBe(503)
    expect(lines.map(([level, message]) => [level, message])).toEqual(
      expect.arrayContaining([
        ['error', expect.stringMatching(/^the database failed/)],
        ['error', 'onFatal failed'],
      ]),
    )
    await receiver.stop()
    await receiver.start()
    expect((await send()).status).toBe(200)
  })

  it('two receivers with databases of their own live beside each other in one app', async () => {
    const [one, other] = [await rig({}, '/one'), await rig({}, '/other')]
    one.app.use(other.app)
    const app = express().use('/one', one.receiver.router).use('/other', other.receiver.router)
    await Promise.all([one.receiver.start(), other.receiver.start()])
    const jobs = [one, other].map(({ reducto }) => reducto.addJob())
    const ends = [jobEnd(one.receiver, jobs[0]!), jobEnd(other.receiver, jobs[1]!)]
    for (const [index, { secret }] of [one, other].entries()) {
      const delivery = signDelivery({ secret, jobId: jobs[index]! })
      expect((await deliver(app, delivery, index === 0 ? '/one/webhook' : '/other/webhook')).status).toBe(200)
      expect((await deliver(app, delivery, index === 0 ? '/other/webhook' : '/one/webhook')).status).toBe(401)
    }
    expect((await Promise.all(ends)).map(({ state }) => state)).toEqual(['done', 'done'])
    await one.receiver.stop()
    expect([one.receiver.health().ready, other.receiver.health().ready]).toEqual([false, true])
  })

  it('a listener of the app that throws refuses no delivery and fails no job', async () => {
    const { app, receiver, reducto, secret, lines } = await rig()
    for (const name of ['delivery', 'started', 'settled'] as const)
      receiver.events.on(name, () => {
        throw new Error(`thrown on ${name}`)
      })
    receiver.events.on('settled', async () => Promise.reject(new Error('rejected later')))
    await receiver.start()
    const jobId = reducto.addJob()
    const done = new Promise<void>((resolve) => receiver.events.prependListener('settled', () => resolve()))
    expect((await deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')).status).toBe(200)
    await done
    expect(lines).toContainEqual([
      'error',
      expect.stringMatching(/listener/),
      expect.objectContaining({ err: expect.objectContaining({ message: 'thrown on delivery' }) }),
    ])
  })

  it('an app may wait for a dozen jobs at once, without a warning of Node’s', async () => {
    const warnings: string[] = []
    const noted = ({ message }: Error) => void warnings.push(message)
    process.on('warning', noted)
    onTestFinished(() => void process.off('warning', noted))
    const { receiver, reducto, app, secret } = await rig()
    await receiver.start()
    const jobs = Array.from({ length: 12 }, () => reducto.addJob())
    const ends = jobs.map((jobId) => jobEnd(receiver, jobId))
    for (const jobId of jobs) await deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')
    expect((await Promise.all(ends)).every(({ state }) => state === 'done')).toBe(true)
    expect(warnings).toEqual([])
  })

  it('what the app’s own functions reject harms nobody: a log whose methods are async, and onFatal', async () => {
    const unhandled: unknown[] = []
    const noted = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', noted)
    const threads: Worker[] = []
    const thread = (one: Worker) => void threads.push(one)
    process.on('worker', thread)
    onTestFinished(() => void process.off('unhandledRejection', noted).off('worker', thread))
    const fails = async () => {
      throw new Error('of the app')
    }
    const told: string[] = []
    const seen = Promise.withResolvers<void>()
    const { receiver } = await rig({
      log: {
        debug: fails,
        info: fails,
        warn: fails,
        error(_fields, message) {
          told.push(message)
          if (message === 'onFatal failed') seen.resolve()
          return fails()
        },
      },
      onFatal: fails,
    })
    await receiver.start()
    await threads[0]!.terminate()
    await seen.promise
    await receiver.stop()
    expect(told).toContain('onFatal failed')
    expect(unhandled).toEqual([])
  })

  it('fields of a handler’s line are its own, whatever their names', async () => {
    const fields = { level: 'gold', msg: 'mine', time: 3, name: 'n' }
    const handler: Handler = (_result, { log }) => void log.info(fields, 'a line of the handler')
    const { app, receiver, reducto, secret, lines } = await rig({ handler })
    await receiver.start()
    const jobId = reducto.addJob()
    const ended = jobEnd(receiver, jobId)
    await deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')
    await ended
    expect(lines.filter(([, message]) => message === 'a line of the handler')).toEqual([
      ['info', 'a line of the handler', { jobId, ...fields }],
    ])
  })
})

describe('what belongs to the app', () => {
  it('environment, signals, umask and other listeners of the process stay as they are', async () => {
    const before = {
      env: { ...process.env },
      umask: process.umask(),
      events: process.eventNames().map((name) => [name, process.listenerCount(name)]),
    }
    const { app, receiver, reducto, secret } = await rig({ handler: () => {}, environment: process.env })
    await receiver.start()
    const jobId = reducto.addJob()
    const ended = jobEnd(receiver, jobId)
    await deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')
    await ended
    await receiver.stop()
    expect({
      env: { ...process.env },
      umask: process.umask(),
      events: process.eventNames().map((name) => [name, process.listenerCount(name)]),
    }).toEqual(before)
  })

  it('what is kept is for its user alone, whatever the umask of the app', async () => {
    const { app, receiver, reducto, secret, folder } = await rig()
    await receiver.start()
    const jobId = reducto.addJob()
    const ended = jobEnd(receiver, jobId)
    await deliver(app, signDelivery({ secret, jobId }), '/reducto/webhook')
    await ended
    const kept = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    expect(kept).toEqual(expect.arrayContaining(['receiver.db', 'receiver.db-wal', 'receiver.db.lock']))
    for (const name of kept) expect([name, statSync(join(folder, name)).mode & 0o077]).toEqual([name, 0])
  })

  it('importing it prints nothing, and reads no .env', () => {
    const folder = tempFolder()
    const script = `import ${JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))}`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: folder, stdio: 'pipe' })
    expect(output.toString()).toBe('')
  })
})

describe('the operator’s routes', () => {
  const ADMIN_TOKEN = 'a-token-that-writes'

  it('are among the router’s only with ADMIN_TOKEN; else the path is the app’s', async () => {
    const without = await rig()
    await request(without.app)
      .get('/reducto/metrics')
      .set('authorization', `Bearer ${ADMIN_TOKEN}`)
      .expect(404, 'of the app')

    const { app, receiver } = await rig({ settings: { ADMIN_TOKEN } })
    await request(app).get('/reducto/metrics').expect(401, { error: 'unauthorized' })
    const metrics = () => request(app).get('/reducto/metrics').set('authorization', `Bearer ${ADMIN_TOKEN}`).expect(200)
    expect(sampleValue((await metrics()).text, 'ready')).toBe(0)
    await receiver.start()
    const { text } = await metrics()
    expect(sampleValue(text, 'ready')).toBe(1)
    expect(sampleValue(text, 'build_info', { handler: 'none' })).toBe(1)
    await request(app).post('/orders').send({ item: 1 }).expect(200, { item: 1 })
  })

  it('sign in and answer below the path of the router, and what they have not is the app’s', async () => {
    const { app, receiver } = await rig({ settings: { ADMIN_TOKEN } })
    const same = { 'sec-fetch-site': 'same-origin' }
    await request(app).get('/reducto/api/stats').expect(401, { error: 'unauthorized' })
    const signIn = request(app)
      .post('/reducto/sign-in')
      .set(same)
      .type('form')
      .send({ token: ADMIN_TOKEN, next: 'jobs' })
    const { headers } = await signIn.expect(303)
    expect(headers.location).toBe('./jobs')
    const session = { ...same, cookie: headers['set-cookie']![0]!.split(';')[0]! }
    await request(app).get('/reducto/api/stats').set(session).expect(503, { error: 'unavailable' })
    await receiver.start()
    await request(app).get('/reducto/api/stats').set(session).expect(200)
    await request(app).post('/reducto/api/worker/pause').set(session).expect(200)
    await request(app).get('/reducto/api/nothing').set(session).expect(404, 'of the app')
    await request(app).get('/api/stats').set(session).expect(404)
  })
})
