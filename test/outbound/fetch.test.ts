import { expect, it, onTestFinished } from 'vitest'
import { explainError } from '../../src/explain-error.ts'
import { createOutboundFetch } from '../../src/outbound/fetch.ts'
import { createProxySettings } from '../../src/outbound/proxy.ts'
import { type ProxyBehaviour, startProxy, startSecure } from './support.ts'

async function world(behaviour: ProxyBehaviour, options: { userInfo?: string; no?: string } = {}) {
  const proxy = await startProxy(behaviour)
  const url = `http://${options.userInfo ?? ''}127.0.0.1:${proxy.port}`
  const settings = createProxySettings({ httpsProxy: url, httpProxy: url, noProxy: options.no ?? '' })
  const { fetch, close } = createOutboundFetch(settings)
  onTestFinished(close)
  return { fetch, proxy }
}

async function failure(run: Promise<unknown>): Promise<string> {
  return run.then(() => 'it was answered', explainError)
}

it('goes through a tunnel to https, with a name that the proxy looks up, and with the proxy’s own credentials', async () => {
  const headers: unknown[] = []
  const to = await startSecure((request, response) => {
    headers.push(request.headers)
    response.end(`${request.httpVersion} ${request.method} ${request.url}`)
  })
  const { fetch, proxy } = await world({ is: 'tunnel', to }, { userInfo: 'user:p%40ss@' })
  const response = await fetch('https://api.example/job/1', {
    method: 'POST',
    body: 'x',
    headers: { authorization: 'Bearer k' },
  })
  expect(await response.text()).toBe('1.1 POST /job/1')
  const authorization = `Basic ${Buffer.from('user:p@ss').toString('base64')}`
  expect(proxy.seen).toEqual([{ request: 'CONNECT api.example:443', authorization }])
  expect(headers).toMatchObject([{ authorization: 'Bearer k' }])
  expect(headers[0]).not.toHaveProperty('proxy-authorization')
})

it('asks for http in absolute form', async () => {
  const { fetch, proxy } = await world({ is: 'tunnel', to: 1 })
  expect(await (await fetch('http://api.example/x?y=1')).text()).toBe('by way of the proxy')
  expect(proxy.seen).toEqual([{ request: 'GET http://api.example/x?y=1', authorization: undefined }])
})

it('goes directly to what NO_PROXY names', async () => {
  const to = await startSecure((_request, response) => response.end('direct'))
  const { fetch, proxy } = await world({ is: 'hang' }, { no: `127.0.0.1:${to}` })
  expect(await (await fetch(`https://127.0.0.1:${to}/`)).text()).toBe('direct')
  expect(proxy.seen).toEqual([])
})

it.each([407, 403, 502, 503])('fails when the proxy answers %i to CONNECT', async (status) => {
  const { fetch } = await world({ is: 'refuse', status })
  expect(await failure(fetch('https://api.example/'))).toMatch(String(status))
})

it('fails when the proxy resets, and when it is not there', async () => {
  const { fetch, proxy } = await world({ is: 'reset' })
  expect(await failure(fetch('https://api.example/'))).toMatch(/ECONNRESET|closed/)
  expect(await failure(fetch('http://api.example/'))).toMatch(/ECONNRESET|closed/)
  const url = `http://127.0.0.1:${proxy.port === 1024 ? 1025 : proxy.port - 1}`
  const gone = createOutboundFetch(createProxySettings({ httpsProxy: url, httpProxy: url, noProxy: '' }))
  onTestFinished(gone.close)
  expect(await failure(gone.fetch('https://api.example/'))).toMatch(/ECONNREFUSED/)
})

it.each(['hang', 'mute'] as const)('ends with its signal while the proxy does nothing (%s)', async (is) => {
  const { fetch, proxy } = await world({ is })
  const stop = new AbortController()
  const failed = failure(fetch('https://api.example/', { signal: stop.signal }))
  while (proxy.seen.length === 0) await new Promise(setImmediate)
  stop.abort()
  expect(await failed).toMatch(/aborted/)
})

it('does not take a proxy’s 407 to http for the host’s answer', async () => {
  const { fetch } = await world({ is: 'refuse', status: 407 })
  expect(await failure(fetch('http://api.example/'))).toMatch('407')
})
