import { describe, expect, it } from 'vitest'
import { createProxySettings } from '../../src/outbound/proxy.ts'

function proxyFor(url: string, given: { https?: string | null; http?: string | null; no?: string }): string | null {
  const settings = createProxySettings({
    httpsProxy: given.https ?? null,
    httpProxy: given.http ?? null,
    noProxy: given.no ?? '',
  })
  return settings.proxyFor(new URL(url))?.href ?? null
}

describe('the proxy for a URL', () => {
  const both = { https: 'http://secure:3128', http: 'http://plain:3128' }

  it.each([
    ['https://a.example/', both, 'http://secure:3128/'],
    ['http://a.example/', both, 'http://plain:3128/'],
    ['https://a.example/', { http: both.http }, null],
    ['http://a.example/', { https: both.https }, null],
    ['https://a.example/', {}, null],
    ['https://a.example/', { https: '' }, null],
    ['https://a.example/', { https: 'proxy:3128' }, 'http://proxy:3128/'],
    ['https://127.0.0.1/', both, 'http://secure:3128/'],
    ['https://a.example/', { https: 'https://user:p%40ss@proxy' }, 'https://user:p%40ss@proxy/'],
  ])('%s with %j: %s', (url, given, proxy) => {
    expect(proxyFor(url, given)).toBe(proxy)
  })

  it.each([
    ['example.com', 'https://example.com/', true],
    ['example.com', 'https://a.example.com/', true],
    ['example.com', 'https://notexample.com/', false],
    ['EXAMPLE.com', 'https://Example.COM./', true],
    ['.example.com', 'https://a.example.com/', true],
    ['.example.com', 'https://example.com/', true],
    ['*.example.com', 'https://a.example.com/', true],
    ['*.example.com', 'https://example.com/', false],
    ['*', 'https://anything/', true],
    ['none.invalid, * ', 'https://anything/', true],
    ['*:80', 'https://anything/', false],
    ['a.example b.example', 'https://b.example/', true],
    ['a.example,b.example', 'https://c.example/', false],
    ['a.example:8443', 'https://a.example:8443/', true],
    ['a.example:8443', 'https://a.example/', false],
    ['a.example:443', 'https://a.example/', true],
    ['10.0.0.1', 'https://10.0.0.1/', true],
    ['10.0.0.0/8', 'https://10.1.2.3/', true],
    ['10.0.0.0/8', 'https://11.1.2.3/', false],
    ['10.0.0.0/8', 'https://10.example/', false],
    ['fd00::/8', 'https://[fd00::1]/', true],
    ['::1', 'https://[::1]/', true],
    ['[::1]', 'https://[::1]/', true],
    ['[::1]:443', 'https://[::1]/', true],
    ['[::1]:444', 'https://[::1]/', false],
    ['', 'https://a.example/', false],
    [' , ', 'https://a.example/', false],
    ['.', 'https://a.example/', false],
  ])('NO_PROXY=%j exempts %s: %s', (no, url, isExempt) => {
    expect(proxyFor(url, { https: 'http://proxy:3128', no })).toBe(isExempt ? null : 'http://proxy:3128/')
  })

  it.each(['socks5://proxy:1080', 'ftp://proxy', 'http://', 'http://us%er:secret@proxy', 'http://user:%zz@proxy'])(
    'is refused when it is none, and nothing of it quoted: %s',
    (https) => {
      expect(() => proxyFor('https://a.example/', { https })).toThrow(
        /^HTTPS_PROXY must be the URL of a proxy that begins with http:\/\/ or https:\/\/$/,
      )
    },
  )
})
