import { writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import express from 'express'
import request from 'supertest'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createReceiver } from '../../src/express.ts'
import { newSecret } from '../../src/signing.ts'
import { simulatedSettings } from '../../src/simulator/settings.ts'
import { testReducto, testService } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

const [WRITE, READ] = ['a-token-that-writes-1', 'a-token-that-only-reads-1']
async function rig(env: Readonly<Record<string, string>> = {}) {
  const service = await testService({ env: { ADMIN_TOKEN: WRITE, ADMIN_READ_TOKEN: READ, ...env } })
  const get = (path: string, token = WRITE) =>
    request(service.url)
      .get(path)
      .set({ authorization: `Bearer ${token}` })
  const post = (token = WRITE) =>
    request(service.url)
      .post('/doctor')
      .set({ authorization: `Bearer ${token}`, 'content-type': 'application/x-www-form-urlencoded' })
  const actions = async () => (await service.inbox.actions({ limit: 10 })).rows.map(({ what, who }) => [what, who])
  return { ...service, get, post, actions }
}

/** What Svix would call, and answers only when it is let go. */
async function silentUrl() {
  const sockets = new Set<Socket>()
  const called = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.once('data', () => called.resolve())
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const letGo = () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  onTestFinished(letGo)
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, called: called.promise, letGo }
}

describe('doctor on the pages', () => {
  it('is offered to those who may change things, and runs for them alone', async () => {
    const { get, post, actions, url } = await rig()
    expect((await get('/').expect(200)).text).toContain('href="./doctor"')
    const offered = (await get('/doctor').expect(200)).text
    expect(offered).toContain('Run the checks')
    expect(offered).not.toContain('what it found</th>')
    const forReaders = (await get('/doctor', READ).expect(200)).text
    expect(forReaders).not.toContain('<form method="post" action="./doctor"')
    await post(READ).expect(403)
    await request(url).post('/doctor').expect(303)
    await request(url).get('/doctor').expect(303)
    // To look at the page, or to be refused, runs nothing.
    expect(await actions()).toEqual([])
  })

  it('a page of another origin cannot start it with a person’s session', async () => {
    const { url, actions } = await rig()
    const signedIn = await request(url)
      .post('/sign-in')
      .set({ 'sec-fetch-site': 'same-origin', 'content-type': 'application/x-www-form-urlencoded' })
      .send(`token=${WRITE}`)
    const cookie = String(signedIn.headers['set-cookie']).split(';', 1)[0]!
    const from = (site: string) => request(url).post('/doctor').set({ cookie, 'sec-fetch-site': site })
    await from('cross-site').expect(403)
    await from('same-site').expect(403)
    expect(await actions()).toEqual([])
    await from('same-origin').expect(200)
    expect(await actions()).toEqual([['doctor', expect.any(String)]])
  })

  it('shows what each check found and what to do, without secrets, and is noted', async () => {
    const { get, post, actions, secret, port } = await rig({ PUBLIC_URL: 'http://127.0.0.1:1' })
    const { text } = await post().expect(200)
    for (const name of ['database', 'results', 'disk', 'clock', 'key', 'service', 'refusals', 'channels', 'dead jobs'])
      expect(text, name).toContain(`<b>${name}</b>`)
    expect(text).toContain('In this service')
    expect(text).toContain('From outside')
    expect(text).toMatch(/✓<\/b><span>Fine<\/span>/)
    expect(text).toMatch(/✗<\/b><span>Problem<\/span>/)
    expect(text).toContain('What to do: ')
    expect(text).toMatch(/is whole \(/)
    expect(text).toMatch(/version [\d.]+\S* runs, and is ready/)
    expect(text).toContain('the service has refused no delivery')
    for (const hidden of [secret, secret.slice(6), WRITE, READ]) expect(text, `${port}`).not.toContain(hidden)
    expect(await actions()).toEqual([['doctor', 'write']])
    expect((await get('/actions').expect(200)).text).toContain('had doctor look at the service')
    expect((await get('/metrics').expect(200)).text).toMatch(/operator_actions_total\{action="doctor"\} 1/)
  })

  it('says what is degraded', async () => {
    const { get, post, inbox } = await rig()
    await inbox.pause(true, 'a holiday')
    await vi.waitFor(async () => expect((await get('/readyz').expect(200)).text).toContain('worker_paused'), 10_000)
    expect((await post().expect(200)).text).toMatch(
      /!<\/b><span>Warning<.*<b>service<\/b>.*worker_paused: .*What to do: `resume`/s,
    )
  })

  it('calls no handler with a made-up result', async () => {
    // A call of it would be told as a problem.
    const handler = join(tempFolder(), 'handler.mjs')
    writeFileSync(handler, "export default () => { throw new Error('the handler was called') }")
    const { post } = await rig({ HANDLER: handler })
    const { text } = await post().expect(200)
    expect(text).toContain('was loaded when the service started; it was not called')
    expect(text).not.toContain('the handler was called')
  })

  it('runs once at a time, also when whoever started it has gone', async () => {
    const silent = await silentUrl()
    const { post, actions, url } = await rig({ PUBLIC_URL: silent.url })
    const leaving = new AbortController()
    const headers = { authorization: `Bearer ${WRITE}` }
    const first = fetch(`${url}/doctor`, { method: 'POST', headers, signal: leaving.signal }).catch(() => null)
    await silent.called
    const busy = await post().expect(503)
    expect(busy.text).toContain('The checks are running already.')
    expect(busy.headers['retry-after']).toBe('2')
    leaving.abort()
    await first
    await post().expect(503)
    expect(await actions()).toEqual([['doctor', 'write']])
    silent.letGo()
    await vi.waitFor(() => post().expect(200), 10_000)
    expect(await actions()).toHaveLength(2)
  }, 30_000)

  it('is not there for a receiver in an app of its own, which does not know all settings', async () => {
    const reducto = await testReducto()
    const settings = { ...simulatedSettings(reducto, tempFolder(), newSecret()), ADMIN_TOKEN: WRITE }
    const receiver = createReceiver({ settings, log: null })
    const app = express().use('/reducto', receiver.router)
    await receiver.start()
    onTestFinished(() => receiver.stop())
    const get = (path: string) =>
      request(app)
        .get(path)
        .set({ authorization: `Bearer ${WRITE}` })
    expect((await get('/reducto/').expect(200)).text).not.toContain('doctor')
    await get('/reducto/doctor').expect(404)
  })
})
