import { describe, expect, it } from 'vitest'
import { MAX_LENGTH_READ_WHOLE, readingsOf } from '../../src/telemetry/scrub/decoded-text.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'

/** Units of texts that read in very many ways, or look nearly like what is taken out. */
const UNITS = [
  '\\\\\\\\\\\\\\\\u0026',
  '\\\\\\\\u0026%2525&amp;amp;\x1b[0m%5Cu0026\\u0025&#x5c;',
  '%5C\x1b[0m%\\\\\\\\u0026&#x5c;',
  '\\',
  '\\u005c',
  '%25',
  '&amp;',
  'eyJaaaaaaaaa.aaaa',
  'a',
  ':',
  `${'a'.repeat(64)}::::::::`,
  'https:/',
  'a://',
  'key = ',
  "'''",
]
const SECRET = 'rk_live_0123456789abcdef'
const scrub = createScrub([SECRET, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'x'.repeat(1_500)])
/** CPU time of this thread, ms: what others do on this machine does not count. */
function work(run: () => unknown): number {
  const { user, system } = process.threadCpuUsage()
  run()
  const after = process.threadCpuUsage()
  return (after.user + after.system - user - system) / 1000
}
const filled = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)

describe('of a text that reads in very many ways', () => {
  it.each(UNITS)('the readings of %j are bounded together', (unit) => {
    for (const length of [1_000, 5_000, 24_000, 1_000_000]) {
      const lengths = readingsOf(filled(unit, length))?.map(({ text }) => text.length) ?? []
      const sum = lengths.reduce((all, one) => all + one, 0)
      // The text itself is one of them.
      expect(sum).toBeLessThanOrEqual(Math.max(64 * 1024, length))
    }
    expect(readingsOf(filled(unit, MAX_LENGTH_READ_WHOLE))).not.toBeNull()
  })

  it.each(UNITS)('%j takes no more than four times the work when it is four times as long', (unit) => {
    const long = filled(unit, 16_000)
    const short = long.slice(0, 4_000)
    const many = (text: string) => work(() => Array.from({ length: 25 }, () => scrub(text, 4_000)))
    many(long)
    // Work that grows as the square takes sixteen times as much. A system may count CPU time by ticks of 10 ms.
    expect(many(long)).toBeLessThan(10 * many(short) + 40)
  })

  it('no part of a secret is left, wherever it stands and the text is cut', () => {
    const entities = [...SECRET].map((char) => `&#x${char.charCodeAt(0).toString(16)};`).join('')
    const forms = [SECRET, JSON.stringify(JSON.stringify(`"${SECRET}"`)), encodeURIComponent(`/${SECRET}/`), entities]
    const noise = filled(UNITS[1]!, 9_000)
    for (const form of forms)
      for (let at = 0; at < 9_000; at += 149) {
        const clean = scrub(noise.slice(0, at) + form + noise.slice(at), 4_000)
        expect(clean).not.toContain(SECRET.slice(0, 12))
        expect(clean).not.toContain(SECRET.slice(-12))
      }
  })
})
