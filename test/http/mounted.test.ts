import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import express, { type Express, Router, urlencoded } from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createMountable } from '../../src/http/app.ts'
import { mountProblem } from '../../src/http/mount.ts'
import { newSecret } from '../../src/signing.ts'
import { createEvents, type Events } from '../../src/telemetry/events.ts'
import { CERTIFICATE } from '../support/certificate.ts'
import { signed } from '../support/service.ts'

/** What the routes answer does not matter here: only whether a body reaches them. */
function mountable() {
  const events = createEvents()
  const refused: Events['refused'][0][] = []
  events.on('refused', (refusal) => refused.push(refusal))
  const receiver = { endpoint: () => endpoint, direct: () => null }
  const bodies: Buffer[] = []
  const endpoint = {
    name: 'default',
    check: () => ({
      async receive(body: Buffer) {
        bodies.push(body)
        return { is: 'ignored' as const }
      },
    }),
  }
  const router = createMountable({ receiver: () => receiver as never, events })
  return { router, refused, bodies }
}

async function serve(app: Express): Promise<string> {
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const body = '{"status":"Completed","job_id":"1"}'
const post = (url: string, headers: Record<string, string> = {}) =>
  fetch(url, { method: 'POST', headers: { ...signed(newSecret(), body), ...headers }, body })

describe('a body that something has read before the receiver', () => {
  it.each([
    ['express.json()', express.json(), 'application/json'],
    ['express.raw()', express.raw({ type: '*/*' }), 'application/json'],
    ['express.text()', express.text({ type: '*/*' }), 'text/plain'],
    ['express.urlencoded()', urlencoded({ extended: true }), 'application/x-www-form-urlencoded'],
    [
      'code of its own',
      async (request: express.Request, _response: express.Response, next: express.NextFunction) => {
        for await (const _ of request);
        next()
      },
      'application/json',
    ],
    [
      'code that reads only the first piece',
      (request: express.Request, _response: express.Response, next: express.NextFunction) => {
        request.once('data', () => {
          request.pause()
          next()
        })
      },
      'application/json',
    ],
    [
      'code that makes text of it',
      (request: express.Request, _response: express.Response, next: express.NextFunction) => {
        request.setEncoding('utf8')
        next()
      },
      'application/json',
    ],
  ])('%s: a 500 at once that names the cure, and nothing is accepted', async (_name, parser, type) => {
    const { router, refused, bodies } = mountable()
    const app = express()
    app.use(parser)
    app.use('/reducto', router)
    const response = await post(`${await serve(app)}/reducto/webhook`, { 'content-type': type })
    expect(response.status).toBe(500)
    expect(await response.json()).toEqual({
      error: 'body_already_read',
      reason: expect.stringMatching(/express\.json/),
    })
    expect(bodies).toEqual([])
    expect(refused).toEqual([
      expect.objectContaining({ status: 500, reason: 'body_already_read', cause: expect.stringMatching(/before/) }),
    ])
  })

  it('a parser that leaves this body alone is no obstacle, also one that sets request.body to {}', async () => {
    const { router, bodies } = mountable()
    const app = express()
    app.use(express.json({ type: 'application/vnd.other' }))
    app.use((request, _response, next) => {
      request.body = {}
      next()
    })
    app.use('/reducto', router)
    expect((await post(`${await serve(app)}/reducto/webhook`)).status).toBe(200)
    expect(bodies.map(String)).toEqual([body])
  })

  it('code in between that takes its time loses nothing of it', async () => {
    const { router, bodies } = mountable()
    const app = express()
    app.use((_request, _response, next) => void setImmediate(next))
    app.use('/reducto', router)
    expect((await post(`${await serve(app)}/reducto/webhook`)).status).toBe(200)
    expect(bodies.map(String)).toEqual([body])
  })
})

describe('under somebody else’s app', () => {
  it.each(['/', '/reducto', '/a/b'])(
    'it answers its routes below %s and leaves everything else to the app',
    async (path) => {
      const { router, refused } = mountable()
      const app = express()
      app.use(path, router)
      app.get('/healthz', (_request, response) => void response.send('of the app'))
      app.use((request, response) => void response.status(418).send(request.app === app ? 'the app' : 'another'))
      const url = await serve(app)
      const base = path === '/' ? url : `${url}${path}`
      expect((await post(`${base}/webhook`)).status).toBe(200)
      expect((await fetch(`${base}/webhook`)).status).toBe(405)
      expect(await (await fetch(`${url}/healthz`)).text()).toBe('of the app')
      const other = await fetch(`${base}/elsewhere`)
      expect([other.status, await other.text()]).toEqual([418, 'the app'])
      expect(refused.map(({ status }) => status)).toEqual([405])
    },
  )

  it('below a router, what it leaves to the app is still the app’s request', async () => {
    const { router } = mountable()
    const app = express()
    app.use('/api', Router().use(router))
    app.use((request, response) => void response.send(request.app === app ? 'the app' : 'another'))
    const url = await serve(app)
    expect((await post(`${url}/api/webhook`)).status).toBe(200)
    expect(await (await fetch(`${url}/api/elsewhere`)).text()).toBe('the app')
  })

  it('below a router and a prefix with parameters too, the app says whose word about the address counts', async () => {
    const { router, refused, bodies } = mountable()
    const app = express().set('trust proxy', 'loopback')
    app.use('/tenants/:name', Router({ mergeParams: true }).use('/in/:token', router))
    const url = `${await serve(app)}/tenants/other/in/direct/webhook`
    await fetch(url, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    expect(refused).toEqual([expect.objectContaining({ status: 405, peer: '203.0.113.9' })])
    expect((await post(url)).status).toBe(200)
    expect(bodies.map(String)).toEqual([body])
  })

  it('it answers wherever it is mounted, also at several paths and in several apps', async () => {
    const { router, bodies } = mountable()
    const [one, other] = [express(), express().set('trust proxy', true)]
    one.use(['/a', '/b'], router).use('/c', router)
    other.use(router)
    const [url, otherUrl] = [await serve(one), await serve(other)]
    for (const at of [`${url}/a`, `${url}/b`, `${url}/c`, otherUrl])
      expect((await post(`${at}/webhook`)).status).toBe(200)
    expect(bodies).toHaveLength(4)
  })

  it('the app says whose word about the caller’s address counts', async () => {
    const { router, refused } = mountable()
    const app = express().set('trust proxy', 'loopback')
    app.use('/reducto', router)
    await fetch(`${await serve(app)}/reducto/webhook`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
    expect(refused).toEqual([expect.objectContaining({ status: 405, peer: '203.0.113.9' })])
  })
})

describe('what stands before it is looked at when it is mounted', () => {
  const problemOf = (prepare: (app: Express) => void, path: string | string[] = '/reducto') => {
    const { router } = mountable()
    const app = express()
    prepare(app)
    app.use(path, router)
    return mountProblem(router)
  }

  it.each([
    ['express.json()', express.json()],
    ['express.raw()', express.raw()],
    ['express.text()', express.text()],
    ['express.urlencoded()', urlencoded()],
  ])('%s before it is named', (name, parser) => {
    expect(problemOf((app) => app.use(parser))).toContain(name)
  })

  it('is found at each of several paths, and no name that every object has is a parser', () => {
    expect(problemOf((app) => app.use('/b', express.json()), ['/a', '/b'])).toContain('express.json()')
    expect(problemOf((app) => app.use('/c', express.json()), ['/a', '/b'])).toBeNull()
    const named = Object.defineProperty((_request: unknown, _response: unknown, next: () => void) => next(), 'name', {
      value: 'toString',
    })
    expect(problemOf((app) => app.use(named))).toBeNull()
  })

  it('a path that cannot be decoded stops no app', () => {
    expect(problemOf((app) => app.use('/:any', express.json()), '/a%zz')).toBeNull()
  })

  it('one that is behind it, or below another path, is not', () => {
    const { router } = mountable()
    const app = express()
    app.use('/reducto', router)
    app.use(express.json())
    expect(mountProblem(router)).toBeNull()
    expect(problemOf((other) => other.use('/api', express.json()))).toBeNull()
    expect(problemOf((other) => other.use('/reducto', express.json()))).toContain('express.json()')
  })
})

describe('on a server of HTTP/2, which Express does not speak', () => {
  async function ask(listener: (request: Http2ServerRequest, response: Http2ServerResponse) => void, path: string) {
    const server = createSecureServer(CERTIFICATE, listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = connect(`https://127.0.0.1:${(server.address() as AddressInfo).port}`, { ca: CERTIFICATE.cert })
    onTestFinished(() => {
      client.destroy()
      server.close()
    })
    const stream = client.request({ ':method': 'POST', ':path': path, ...signed(newSecret(), body) })
    stream.end(body)
    const [head] = await once(stream, 'response')
    return { status: head[':status'], text: await text(stream) }
  }

  it('a delivery is refused with the cure, and what is not the receiver’s comes back to the app', async () => {
    const { router, refused, bodies } = mountable()
    const route = router as unknown as (request: object, response: object, next?: () => void) => void
    const refusal = await ask((request, response) => route(request, response), '/webhook?a=1')
    expect(refusal.status).toBe(505)
    expect(JSON.parse(refusal.text)).toEqual({
      error: 'http_version_not_supported',
      reason: expect.stringMatching(/HTTP\/1\.1/),
    })
    expect(bodies).toEqual([])
    expect(refused).toEqual([expect.objectContaining({ status: 505, reason: 'http_version', peer: '127.0.0.1' })])
    const other = await ask((request, response) => route(request, response, () => response.end('the app')), '/orders')
    expect(other).toEqual({ status: 200, text: 'the app' })
  })
})
