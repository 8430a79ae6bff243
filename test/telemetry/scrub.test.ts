import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'

const API_KEY = 'rk_live+S3cr3t/Key=="x"\\y'
const SIGNING = newSecret()
const scrub = createScrub([API_KEY, SIGNING])

/** Ways in which programs write a text that came from elsewhere. */
const EMBEDDINGS: Record<string, (text: string) => string> = {
  plain: (text) => text,
  json: (text) => JSON.stringify(text),
  'json of json': (text) => JSON.stringify(JSON.stringify(text)),
  'json with slashes': (text) => JSON.stringify(text).replaceAll('/', '\\/'),
  'all as unicode escapes': (text) => units(text, (code) => `\\u${code.toString(16).padStart(4, '0')}`),
  'all as UNICODE escapes': (text) => units(text, (code) => `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`),
  percent: (text) => encodeURIComponent(text),
  'percent twice': (text) => encodeURIComponent(encodeURIComponent(text)),
  'percent, all, lower case': (text) =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  'a form': (text) => new URLSearchParams({ a: text }).toString(),
  html: (text) =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;'),
  'html, all': (text) => [...text].map((char) => `&#x${char.codePointAt(0)!.toString(16)};`).join(''),
  base64: (text) => Buffer.from(text).toString('base64'),
  base64url: (text) => Buffer.from(text).toString('base64url'),
  'base64 in the middle': (text) => Buffer.from(`user:${text}:more`).toString('base64'),
  'base64 in the middle, shifted': (text) => Buffer.from(`a user:${text}!`).toString('base64'),
  'base64, wrapped': (text) =>
    Buffer.from(text)
      .toString('base64')
      .replace(/(.{5})/g, '$1\r\n'),
  hex: (text) => Buffer.from(text).toString('hex'),
  HEX: (text) => Buffer.from(text).toString('hex').toUpperCase(),
  'hex in pairs': (text) => Buffer.from(text).toString('hex').replace(/(..)/g, '$1 '),
  'wrapped lines': (text) => text.replace(/(.{6})/gu, '$1\n    '),
  colours: (text) => text.replace(/(.{4})/gu, '$1\x1b[31;1m'),
  'soft hyphens': (text) => text.replace(/(.{4})/gu, '$1\u00ad'),
  'lines that go on': (text) => text.replace(/(.{6})/gu, '$1\\\n'),
  'parts that are joined': (text) => text.replace(/(.{5})/gu, '$1" +\n  "'),
  'hex with colons': (text) =>
    Buffer.from(text)
      .toString('hex')
      .replace(/(..)(?!$)/g, '$1:'),
  'a buffer in JSON': (text) => JSON.stringify(Buffer.from(text)),
  'a buffer as it is printed': (text) => inspect(Buffer.from(text)),
  'upper case': (text) => text.replace(/[a-z]/g, (letter) => letter.toUpperCase()),
}

function units(text: string, write: (code: number) => string): string {
  return Array.from({ length: text.length }, (_, index) => write(text.charCodeAt(index))).join('')
}

const embedding = fc.constantFrom(...Object.keys(EMBEDDINGS))
const around = fc.string({ unit: fc.constantFrom(...'abc xyz/(-){}[]:;,.<>`|\n'), maxLength: 40 })
/** Also characters that every encoding treats its own way. */
const secretText = fc
  .string({ unit: fc.constantFrom(...'abcXYZ0189+/=-_.~!"\\%&?#@: äß€😀'), minLength: 8, maxLength: 60 })
  .filter((text) => text.trim() === text && text.replace(/\s/g, '').length >= 8)

describe('no secret is left of a text', () => {
  it('in whatever way it is embedded', () => {
    fc.assert(
      fc.property(secretText, embedding, around, around, (secret, name, before, after) => {
        // Of eight characters of which half are quotes, what is left without these is found in innocent text.
        if (name === 'parts that are joined') fc.pre(secret.replace(/[\s\\"'`+,:;|]/g, '').length >= 6)
        const embedded = EMBEDDINGS[name]!(secret)
        expect(createScrub([secret])(`${before}${embedded}${after}`)).not.toContain(embedded)
      }),
      { numRuns: 1_500 },
    )
  })

  it.each(Object.keys(EMBEDDINGS))('%s, of real keys', (name) => {
    for (const secret of [API_KEY, SIGNING, SIGNING.slice('whsec_'.length)]) {
      const embedded = EMBEDDINGS[name]!(secret)
      const clean = scrub(`it said ${embedded} and more`)
      expect(clean).toMatch(/^it said .*\[secret\].* and more$/s)
      expect(clean.length).toBeLessThan(60)
    }
  })

  it('in escapes within escapes, in any order', () => {
    const layers = fc.array(fc.constantFrom('json', 'percent', 'html', 'json with slashes'), {
      minLength: 1,
      maxLength: 3,
    })
    fc.assert(
      fc.property(secretText, layers, (secret, names) => {
        const embedded = names.reduce((text, name) => EMBEDDINGS[name]!(text), secret)
        expect(createScrub([secret])(`x ${embedded} y`)).not.toContain(embedded)
      }),
      { numRuns: 500 },
    )
  })

  it('wherever the text is cut', () => {
    const secret = 'Z9'.repeat(20)
    const hide = createScrub([secret])
    for (const longest of [100, 500, 2_000])
      for (const filler of ['x', '?a=b ', 'https://h.example/k?sig=b '])
        for (let at = 0; at < 9_000; at += 97) {
          const text = filler.repeat(Math.ceil(at / filler.length)).slice(0, at) + secret + 'x'.repeat(9_000)
          expect(hide(text, longest)).not.toMatch(/Z9Z9Z9Z9/)
        }
  })

  it('when somebody else has cut the text within it', () => {
    for (let kept = 8; kept < SIGNING.length; kept++)
      expect(scrub(`refused: ${SIGNING.slice(0, kept)}`)).toBe('refused: [secret]')
    expect(scrub(`refused: ${API_KEY.slice(0, 12)}`)).toBe('refused: [secret]')
  })

  it('when what prints it has shortened it', () => {
    expect(scrub(`key ${SIGNING.slice(0, 20)}… is unknown`)).toBe('key [secret]… is unknown')
    expect(scrub(`key ${SIGNING.slice(6, 26)}... is unknown`)).toBe('key [secret]... is unknown')
  })

  it('as the bytes of a signing key', () => {
    const key = Buffer.from(SIGNING.slice('whsec_'.length), 'base64')
    expect(scrub(`key ${key.toString('hex').toUpperCase()} used`)).toBe('key [secret] used')
    expect(scrub(`key ${key.toString('base64url')} used`)).toBe('key [secret] used')
    expect(scrub(inspected(key))).toBe('<Buffer [secret]>')
  })
})

function inspected(bytes: Buffer): string {
  return `<Buffer ${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}>`
}

const S = 'SENTINEL0123'

describe('credentials of whoever it is', () => {
  it.each([
    [`(https://b.s3.amazonaws.com/k?X-Amz-Signature=${S})`, '(https://b.s3.amazonaws.com/k)'],
    [`\`https://h.example/k?sig=${S}\`.`, '`https://h.example/k`.'],
    [`[link](https://h.example/k?sig=${S}), see`, '[link](https://h.example/k), see'],
    [`<https://h.example/k#${S}>`, '<https://h.example/k>'],
    [`HTTPS://H.EXAMPLE/K?SIG=${S}`, 'HTTPS://H.EXAMPLE/K'],
    [`{"url":"https:\\/\\/h.example\\/k?X-Amz-Signature=${S}"}`, '{"url":"https:\\/\\/h.example\\/k"}'],
    [
      `goto=https%3A%2F%2Fh.example%2Fk%3FX-Amz-Signature%3D${S}%26b%3D1 failed`,
      'goto=https%3A%2F%2Fh.example%2Fk failed',
    ],
    [
      `goto=https%253A%252F%252Fh.example%252Fk%253FX-Amz-Signature%253D${S} failed`,
      'goto=https%253A%252F%252Fh.example%252Fk failed',
    ],
    [`https:\\u002f\\u002fh.example\\u002fk\\u003fsig\\u003d${S}`, 'https:\\u002f\\u002fh.example\\u002fk'],
    [`https://h.example/k?a=1&amp;sig=${S}`, 'https://h.example/k'],
    [`https://h.example/hook?${S}`, 'https://h.example/hook'],
    [`POST /hook?${S} 500`, 'POST /hook 500'],
    [`wss://user:${S}@h.example/k`, 'wss://h.example/k'],
    [`Authorization: Bearer ${S}`, 'Authorization: [secret]'],
    [`{"authorization":"Basic ${S}="}`, '{"authorization":"[secret]"}'],
    [`-H 'authorization: token ${S}' https://h.example`, "-H 'authorization: [secret]' https://h.example"],
    [`sent bearer ${S}, refused`, 'sent bearer [secret], refused'],
    [`Basic ${Buffer.from(`user:${S}`).toString('base64')} refused`, 'Basic [secret] refused'],
    [`X-Api-Key: ${S}`, 'X-Api-Key: [secret]'],
    [`key=${S}`, 'key=[secret]'],
    [`api_key = '${S}'`, "api_key = '[secret]'"],
    [`{"access_token":"${S}","token":"${S}"}`, '{"access_token":"[secret]","token":"[secret]"}'],
    [`password=${S} host=db`, 'password=[secret] host=db'],
    [`X-Amz-Security-Token=${S}`, 'X-Amz-Security-Token=[secret]'],
    [`X-Goog-Signature=${S}`, 'X-Goog-Signature=[secret]'],
    [`the sas is sv=2024-11-04&se=2026&sig=${S}`, 'the sas is sv=2024-11-04'],
    [`AWSAccessKeyId=${S}`, 'AWSAccessKeyId=[secret]'],
    ['AKIAIOSFODNN7EXAMPLE is unknown', '[secret] is unknown'],
    [`Set-Cookie: session=${S}; Path=/\nnext`, 'Set-Cookie: [secret]\nnext'],
    [`got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.${S}`, 'got [secret]'],
    [`-----BEGIN RSA PRIVATE KEY-----\n${S}\n-----END RSA`, '[secret] RSA'],
  ])('%s', (text, expected) => {
    expect(scrub(text)).toBe(expected)
  })

  it.each([
    'nothing to hide: 12:30, a@b.example',
    'the extracted fields do not fit the schema: total: expected number; number: required',
    'duplicate key value violates unique constraint "jobs_pkey"; Key (id)=(5) already exists',
    'Unexpected token } in JSON at position 4',
    'basic information is missing; bearer authentication required',
    'FORWARD_URL answered 500: what/why? because',
    'at handle (file:///app/handlers/a.ts:12:3)',
    'at send (file:///app/node_modules/@scope/name/index.js:1:2)',
    'https://h.example/k: ECONNREFUSED 127.0.0.1:80',
  ])('leaves alone: %s', (text) => {
    expect(scrub(text)).toBe(text)
  })
})

describe('scrubbing', () => {
  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(
        around,
        fc.constantFrom(API_KEY, SIGNING, `https://h/k?sig=${S}`, `token=${S}`),
        embedding,
        (text, secret, name) => {
          const once = scrub(`${text} ${EMBEDDINGS[name]!(secret)} ${text}`)
          expect(scrub(once)).toBe(once)
        },
      ),
    )
  })

  it('takes a time that does not grow with the text, whatever it is', () => {
    const mega = 1024 * 1024
    const texts = [
      ...['x', '%', '%25', '\\', '\\\\u', '&#', '&amp;', '?a=', '@', 'a://', 'a://@', 'http://a?', '"', 'key=', 'key:'],
      ...[
        'eyJ-',
        'eyJaaaaaaaaa.',
        '-----BEGIN PRIVATE KEY-----',
        'authorization:',
        'bearer ',
        'basic aaaaaaaa',
        '\x1b[',
      ],
      ...[
        API_KEY.slice(0, -1),
        SIGNING.slice(0, -1),
        'whsec_',
        ')',
        '/?',
        ' ',
        '\n',
        '\u200b',
        '%5C%5C%5C',
        '&amp;amp;',
      ],
    ].map((piece) => piece.repeat(Math.ceil(mega / piece.length)))
    for (const text of texts) scrub(text)
    for (const text of texts) {
      const before = process.threadCpuUsage().user
      expect(scrub(text).length).toBeLessThan(600)
      // Of this thread alone, µs: milliseconds are expected, and seconds are what a text without a bound took.
      expect(process.threadCpuUsage().user - before, text.slice(0, 20)).toBeLessThan(250_000)
    }
  })

  it('does not end within a character', () => {
    expect(scrub('😀'.repeat(10), 5).isWellFormed()).toBe(true)
  })
})
