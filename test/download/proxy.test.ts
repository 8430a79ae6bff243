import { expect, it } from 'vitest'
import { createProxySettings } from '../../src/outbound/proxy.ts'
import { type ProxyBehaviour, startProxy, startSecure } from '../outbound/support.ts'
import { downloads, failure, plain, read, serve, wholeFailure } from './support.ts'

async function world(
  behaviour: ProxyBehaviour,
  options: { no?: string; allow?: string[]; answerTimeout?: number } = {},
) {
  const proxy = await startProxy(behaviour)
  const url = `http://user:secret-1@127.0.0.1:${proxy.port}`
  const proxies = createProxySettings({ httpsProxy: url, httpProxy: url, noProxy: options.no ?? '' })
  const noLookup = (() => {
    throw new Error('names are looked up by the proxy')
  }) as never
  const { allow = [], answerTimeout = 10_000 } = options
  return { proxy, download: downloads({ allow, proxies, answerTimeout, lookup: noLookup }) }
}

it('goes through the proxy, which looks the names up; its own address needs no permission', async () => {
  const to = await startSecure((_request, response) => response.end('the file'))
  const { download, proxy } = await world({ is: 'tunnel', to })
  expect(String(await read((await download('https://storage.example/x?signature=y', plain)).body))).toBe('the file')
  expect(proxy.seen).toMatchObject([{ request: 'CONNECT storage.example:443' }])
})

it.each([
  'https://169.254.169.254/',
  'https://10.0.0.1/',
  'https://[::1]/',
  'https://localhost/',
  'https://a.localhost/',
  'http://storage.example/',
])('still refuses %s, which the proxy is not asked for', async (url) => {
  const { download, proxy } = await world({ is: 'tunnel', to: 1 })
  expect((await failure(download(url, plain))).kind).toBe('blocked')
  expect(proxy.seen).toEqual([])
})

it('checks redirects as it does without a proxy', async () => {
  const to = await startSecure((_request, response) => response.writeHead(302, { location: 'https://10.0.0.1/' }).end())
  const { download, proxy } = await world({ is: 'tunnel', to })
  expect((await failure(download('https://storage.example/', plain))).kind).toBe('blocked')
  expect(proxy.seen).toHaveLength(1)
})

it('reaches an allowed private host through the proxy, or directly when NO_PROXY names it', async () => {
  const inside = await serve((_request, response) => response.end('direct'))
  const { download, proxy } = await world({ is: 'tunnel', to: 1 }, { allow: ['127.0.0.1', 'minio'], no: '127.0.0.1' })
  expect(String(await read((await download('http://minio:9000/x', plain)).body))).toBe('by way of the proxy')
  expect(proxy.seen).toMatchObject([{ request: 'GET http://minio:9000/x' }])
  expect(String(await read((await download(`http://127.0.0.1:${inside.port}/`, plain)).body))).toBe('direct')
})

it.each([407, 502])('fails, and says so, when the proxy answers %i', async (status) => {
  const { download } = await world({ is: 'refuse', status }, { allow: ['minio'] })
  for (const url of ['https://storage.example/', 'http://minio/']) {
    const error = await wholeFailure(download, url)
    expect([error.kind, error.message]).toEqual(['failed', expect.stringContaining(String(status))])
    expect(error.message).not.toContain('secret-1')
  }
})

it.each(['hang', 'mute'] as const)('has an end when the proxy does nothing (%s)', async (is) => {
  const { download } = await world({ is }, { answerTimeout: 100, allow: ['minio'] })
  expect((await failure(download('https://storage.example/', plain))).kind).toBe('timeout')
  if (is === 'hang') expect((await failure(download('http://minio/', plain))).kind).toBe('timeout')
})

it('fails when the proxy resets, also in the middle of a file without a length', async () => {
  const half = await world({ is: 'half' }, { allow: ['minio'] })
  expect((await wholeFailure(half.download, 'http://minio/')).kind).toBe('failed')
  const { download } = await world({ is: 'reset' })
  expect((await failure(download('https://storage.example/', plain))).kind).toBe('failed')
})
