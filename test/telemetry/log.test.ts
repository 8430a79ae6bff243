import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { parseLossless, stringifyLossless } from '../../src/lossless-json.ts'
import { newSecret } from '../../src/signing.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { errorSerializers, logEvents } from '../../src/telemetry/log.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { formatBytes } from '../../src/units.ts'

describe('text that leaves the process', () => {
  const secret = newSecret()
  const scrub = createScrub([secret, 'api-key-123456'])

  it.each([
    [
      'GET https://bucket.s3.amazonaws.com/a/b.json?X-Amz-Signature=sentinel failed',
      'GET https://bucket.s3.amazonaws.com/a/b.json failed',
    ],
    ['https://user:sentinel@host/path#sentinel', 'https://host/path'],
    ['postgres://user:sentinel@db:5432/x', 'postgres://db:5432/x'],
    [`the key api-key-123456 and ${secret}`, 'the key [secret] and [secret]'],
    [`another ${newSecret()}`, 'another [secret]'],
    [`the bare ${secret.slice('whsec_'.length)}`, 'the bare [secret]'],
    ['Max retries exceeded with url: /k?X-Amz-Credential=a&X-Amz-Signature=b', 'Max retries exceeded with url: /k'],
    ['https:\\/\\/h.example\\/k?sig=b', 'https:\\/\\/h.example\\/k'],
    ['https://user:pa/ss@h.example/k', 'https://h.example/k'],
    ['nothing to hide: 12:30, a@b.example', 'nothing to hide: 12:30, a@b.example'],
  ])('%s', (text, clean) => {
    expect(scrub(text)).toBe(clean)
  })

  it('is cut: an error can hold a whole answer', () => {
    expect(scrub('x'.repeat(10_000)).length).toBeLessThan(600)
  })
})

describe('an error in the log', () => {
  const { err } = errorSerializers(createScrub(['api-key-123456']))

  it('has its type, message, code, causes and stack, scrubbed', () => {
    const cause = Object.assign(new Error('with api-key-123456'), { code: 'E_INNER' })
    const error = Object.assign(new TypeError('no: api-key-123456', { cause }), { code: 'E_OUTER' })
    error.stack = 'TypeError: api-key-123456\n    at x'
    expect(err(error)).toEqual({
      type: 'TypeError',
      message: 'no: [secret]',
      code: 'E_OUTER',
      cause: 'E_INNER',
      stack: 'TypeError: [secret]\n    at x',
    })
  })

  it('tells what is in an AggregateError', () => {
    const error = new AggregateError([new Error('one'), new Error('two')], 'all failed')
    expect(err(error)).toMatchObject({ message: 'all failed', cause: 'one; two' })
  })

  it('can be anything, and is bounded', () => {
    const throwing = new Proxy(new Error('x'), {
      get() {
        throw new Error('no')
      },
    })
    const looped = new Error('again')
    looped.cause = looped
    const long = new Error('x'.repeat(10_000_000))
    for (const thrown of [null, undefined, 7, 'text', { a: 1 }, throwing, looped, long, Object.create(null)]) {
      const written = JSON.stringify(err(thrown))
      expect(written.length).toBeLessThan(5_000)
      expect(JSON.parse(written).message).toMatch(/./)
    }
  })
})

describe('exact JSON', () => {
  it.each([
    '{"id":12345678901234567890,"amount":1.0,"tiny":1e-400,"text":"1.0","list":[100000000000000000001,-0]}',
    '{"a":0.1,"b":1,"c":null,"d":true,"e":{}}',
  ])('keeps %s', (text) => {
    expect(stringifyLossless(parseLossless(text))).toBe(text)
  })
})

describe('lines about refused requests', () => {
  function openTestLog() {
    const lines: Record<string, unknown>[] = []
    const events = createEvents()
    const clock = { now: 59_990 }
    const log = pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) })
    logEvents(events, log, () => clock.now)
    const refuse = (reason: string, times = 1) => {
      for (let time = 0; time < times; time++)
        events.emit('refused', { endpoint: 'unknown', status: 400, reason, peer: '192.0.2.1', code: 'HPE_X' })
    }
    return { lines, clock, refuse }
  }

  it('carry status, reason, code and peer', () => {
    const { lines, refuse } = openTestLog()
    refuse('bad_request')
    expect(lines).toMatchObject([
      { level: 40, msg: 'refused', status: 400, reason: 'bad_request', code: 'HPE_X', peer: '192.0.2.1' },
    ])
  })

  it('are at most ten in any minute for each reason, also across the turn of a minute', () => {
    const { lines, clock, refuse } = openTestLog()
    refuse('bad_request', 100)
    refuse('no_match')
    clock.now += 20
    refuse('bad_request', 100)
    expect(lines.filter(({ reason }) => reason === 'bad_request')).toHaveLength(10)
    expect(lines.filter(({ reason }) => reason === 'no_match')).toHaveLength(1)
    expect(lines[9]).toMatchObject({ more: expect.any(String) })
  })

  it('go on after a minute, and say how many were left out', () => {
    const { lines, clock, refuse } = openTestLog()
    refuse('bad_request', 25)
    clock.now += 60_000
    refuse('bad_request', 2)
    expect(lines).toHaveLength(12)
    expect(lines[10]).toMatchObject({ suppressed: 15 })
    expect(lines[11]).not.toHaveProperty('suppressed')
  })

  it('share one allowance when reasons are without number', () => {
    const { lines, refuse } = openTestLog()
    for (let reason = 0; reason < 10_000; reason++) refuse(`reason ${reason}`)
    expect(lines.length).toBeLessThan(100)
  })
})

describe('lines about side files', () => {
  it.each([
    ['side files saved', 30, { missing: 0, again: null }],
    ['side files are still missing', 40, { missing: 2, again: Date.parse('2026-01-02T03:04:05Z') }],
    ['side files are still missing', 40, { missing: null, again: Date.parse('2026-01-02T03:04:05Z') }],
    ['side files stay missing', 40, { missing: 1, again: null }],
  ] as const)('%s', (msg, level, tried) => {
    const lines: Record<string, unknown>[] = []
    const events = createEvents()
    logEvents(events, pino({ base: null }, { write: (line) => void lines.push(JSON.parse(line)) }))
    events.emit('sideFiles', { jobId: 'job-1', ms: 12.34, calls: 1, ...tried })
    const again = tried.again === null ? {} : { again: '2026-01-02T03:04:05.000Z' }
    const { missing } = tried
    expect(lines).toEqual([
      { level, time: expect.any(Number), msg, jobId: 'job-1', missing, ...again, ms: 12.3, calls: 1 },
    ])
  })
})

it('sizes are written for people', () => {
  expect([0, 1023, 1024, 1536, 5 * 1024 ** 3].map(formatBytes)).toEqual([
    '0 bytes',
    '1023 bytes',
    '1.0 KiB',
    '1.5 KiB',
    '5.0 GiB',
  ])
})
