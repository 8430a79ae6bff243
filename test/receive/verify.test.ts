import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { endpointKeys, type Headers, InvalidSignature, readSignature, verify } from '../../src/receive/verify.ts'
import { newSecret, sign, signatureHeaders } from '../../src/signing.ts'

/**
 * The verification cases that Svix and Standard Webhooks publish, at the kernel with the keys and times they name: the
 * service's settings refuse those keys (one lacks the prefix, one is too short).
 */

const VECTORS = [
  {
    name: 'Svix, without prefix',
    secret: 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: 1614265330,
    body: '{"test": 2432232314}',
    signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  },
  {
    name: 'Svix, with prefix',
    secret: 'whsec_plJ3nmyCDGBKInavdOK15jsl',
    id: 'msg_loFOjxBNrRLzqYUf',
    timestamp: 1731705121,
    body: '{"event_type":"ping","data":{"success":true}}',
    signature: 'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=',
  },
] as const

const SECRET = newSecret()
const NOW = 1_700_000_000_000
const BODY = '{"test": 2432232314}'

beforeEach(() => vi.useFakeTimers({ toFake: ['Date'], now: NOW }))
afterEach(() => vi.useRealTimers())

function check(headers: Headers, body: string | Buffer = BODY, secrets: readonly string[] = [SECRET]) {
  const signature = readSignature(headers, Date.now())
  return verify(Buffer.from(body), signature, endpointKeys('default', secrets))
}

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof InvalidSignature) return error.reason
    throw error
  }
  return 'verified'
}

function headers(
  options: { id?: string; at?: number; body?: string; secrets?: string[]; prefix?: 'svix' | 'webhook' } = {},
) {
  const at = new Date(options.at ?? NOW)
  const signed = sign(options.id ?? 'msg_1', at, options.body ?? BODY, options.secrets ?? [SECRET])
  return signatureHeaders(signed, options.prefix ?? 'svix')
}

describe('published vectors', () => {
  it.each(VECTORS)('$name', ({ secret, id, timestamp, body, signature }) => {
    vi.setSystemTime(timestamp * 1000)
    for (const prefix of ['svix', 'webhook']) {
      const given = {
        [`${prefix}-id`]: id,
        [`${prefix}-timestamp`]: String(timestamp),
        [`${prefix}-signature`]: signature,
      }
      expect(check(given, body, [secret])).toMatchObject({ svixId: id, endpoint: 'default', body })
      expect(refusal(() => check(given, `${body} `, [secret]))).toBe('no_match')
    }
  })

  it('verifies with and without the prefix of the secret', () => {
    expect(refusal(() => check(headers(), BODY, [SECRET.slice('whsec_'.length)]))).toBe('verified')
  })
})

describe('headers', () => {
  it.each(['svix', 'webhook'] as const)('verifies a set of %s-* headers', (prefix) => {
    expect(refusal(() => check(headers({ prefix })))).toBe('verified')
  })

  it.each(['id', 'timestamp', 'signature'])('refuses a set without the %s', (missing) => {
    for (const value of [undefined, ''])
      for (const prefix of ['svix', 'webhook'] as const)
        expect(refusal(() => check({ ...headers({ prefix }), [`${prefix}-${missing}`]: value }))).toBe(
          'missing_headers',
        )
  })

  it('refuses every mix of the two sets', () => {
    const svix = headers()
    const unbranded = headers({ prefix: 'webhook' })
    for (const [name, value] of Object.entries(unbranded))
      expect(refusal(() => check({ ...svix, [name]: value }))).toBe('mixed_headers')
    const half = { 'svix-id': svix['svix-id'], 'webhook-timestamp': '1', 'webhook-signature': 'v1,x' }
    expect(refusal(() => check(half))).toBe('mixed_headers')
    expect(refusal(() => check({ ...unbranded, 'svix-id': '' }))).toBe('mixed_headers')
  })

  it('refuses headers that come as arrays, which the library would take for the id and the timestamp', () => {
    for (const [name, value] of Object.entries(headers()))
      expect(refusal(() => check({ ...headers(), [name]: [value] }))).toBe('missing_headers')
  })

  it('gives back the very id that was verified', () => {
    expect(check(headers({ id: 'msg_Ω€ weird' })).svixId).toBe('msg_Ω€ weird')
  })
})

describe('timestamp', () => {
  it.each([
    [-301, 'timestamp_too_old'],
    [-300, 'verified'],
    [300, 'verified'],
    [301, 'timestamp_too_new'],
  ])('%i s from now: %s', (seconds, expected) => {
    expect(refusal(() => check(headers({ at: NOW + seconds * 1000 })))).toBe(expected)
  })

  it.each(['', ' ', 'abc', '1700000000abc', '1700000000.9', '+1700000000', '01700000000', '-5', '1e9', '9'.repeat(13)])(
    'refuses %j',
    (timestamp) => {
      const expected = timestamp === '' ? 'missing_headers' : 'bad_timestamp'
      expect(refusal(() => check({ ...headers(), 'svix-timestamp': timestamp }))).toBe(expected)
    },
  )

  it('refuses another timestamp than the signed one', () => {
    expect(refusal(() => check({ ...headers(), 'svix-timestamp': String(NOW / 1000 + 1) }))).toBe('no_match')
  })
})

describe('signature', () => {
  const good = () => headers()['svix-signature']!
  const cases: [name: string, signature: () => string, expected: string][] = [
    ['one among several', () => `v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x ${good()}`, 'verified'],
    ['several, none good', () => 'v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v1,AAAA', 'no_match'],
    ['a good one under another version', () => good().replace('v1,', 'v2,'), 'no_match'],
    ['an asymmetric one only', () => good().replace('v1,', 'v1a,'), 'no_match'],
    ['partial', () => good().slice(0, -8), 'no_match'],
    ['a version alone', () => 'v1', 'no_match'],
    ['a version and a comma', () => 'v1,', 'no_match'],
    ['without a version', () => good().slice(3), 'no_match'],
    ['rubbish', () => ',,, , v1,,', 'no_match'],
  ]
  it.each(cases)('%s', (_name, signature, expected) => {
    expect(refusal(() => check({ ...headers(), 'svix-signature': signature() }))).toBe(expected)
  })

  it('of another secret is refused, of any of several is taken', () => {
    const other = newSecret()
    expect(refusal(() => check(headers({ secrets: [other] })))).toBe('no_match')
    expect(refusal(() => check(headers({ secrets: [other] }), BODY, [SECRET, other]))).toBe('verified')
    expect(refusal(() => check(headers({ secrets: [other, SECRET] })))).toBe('verified')
  })

  it('of another id or body is refused', () => {
    expect(refusal(() => check({ ...headers(), 'svix-id': 'msg_2' }))).toBe('no_match')
    expect(refusal(() => check(headers(), '{"test": 2432232315}'))).toBe('no_match')
  })
})

describe('body', () => {
  it.each(['', 'x', '{"a":"Grüße €"}', '\uFEFF{}', '\u0000'])('verifies %j byte for byte', (body) => {
    expect(check(headers({ body }), body).body).toBe(body)
  })

  it('refuses bytes that are not UTF-8, also when they would decode to what was signed', () => {
    expect(refusal(() => check(headers({ body: '\uFFFD\uFFFD' }), Buffer.from([0xff, 0xfe])))).toBe('not_utf8')
    expect(refusal(() => check(headers(), Buffer.from([0xc3, 0x28])))).toBe('not_utf8')
  })
})
