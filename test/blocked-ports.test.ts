import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { isBlockedPort } from '../src/blocked-ports.ts'

const { badPortsSet } = createRequire(import.meta.url)('undici/lib/web/fetch/constants.js') as {
  badPortsSet: ReadonlySet<string>
}
const PORTS = Array.from({ length: 65_536 }, (_, port) => port).filter((port) =>
  isBlockedPort(`http://h.example:${port}`),
)

describe('ports that fetch refuses', () => {
  it('are those of undici, which Node has inside', () => {
    expect(new Set(PORTS.map(String))).toEqual(badPortsSet)
  })

  it('are refused by Node itself, before anything is sent', async () => {
    const refusals = PORTS.map((port) => fetch(`http://127.0.0.1:${port}/`).catch((error) => error.cause.message))
    expect(new Set(await Promise.all(refusals))).toEqual(new Set(['bad port']))
  })

  it.each([
    ['http://h.example:6000/hook', true],
    ['https://h.example:22/hook?x=1', true],
    ['https://[::1]:25', true],
    ['http://h.example:080/', false],
    ['http://h.example/', false],
    ['https://h.example:443/', false],
    ['no URL', false],
    ['', false],
  ])('%s: %s', (url, isBlocked) => {
    expect(isBlockedPort(url)).toBe(isBlocked)
    if (URL.canParse(url)) expect(isBlockedPort(new URL(url))).toBe(isBlocked)
  })
})
