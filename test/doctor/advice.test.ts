import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Answer, adviceOn, adviceOnFailure } from '../../src/doctor/advice.ts'

const TO = new URL('https://example.com/webhook')
const json = (status: number, body: unknown): Answer => ({
  ...{ status, body: JSON.stringify(body), contentType: 'application/json; charset=utf-8', location: null },
})
const page = (status: number, body = '<html><h1>nginx</h1></html>'): Answer => ({
  ...{ status, body, contentType: 'text/html', location: null },
})
const GENERAL = 'this is no answer of the service'

/** The signature has its reasons below; links and the operator's routes are not for deliveries. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'invalid_signature',
  'link_not_valid',
  'unauthorized',
  'read_only',
  'cross_site',
  'slow_down',
])

describe('an answer of the service', () => {
  it('is fine when the delivery is recorded', () => {
    expect(adviceOn(json(200, { received: true }), TO)).toMatchObject({ isFine: true })
    expect(adviceOn(json(200, { received: true, duplicate: true, job: 'done' }), TO)).toMatchObject({ isFine: true })
    expect(adviceOn(json(200, { received: true, ignored: 'x' }), TO).message).toContain('a ping names no job')
  })

  it('has a cure for every error that the routes can give', () => {
    const folder = resolve(import.meta.dirname, '../../src/http')
    // The folders within are for operators.
    const text = readdirSync(folder)
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(join(folder, file), 'utf8'))
    const errors = new Set(
      text
        .join('\n')
        .matchAll(/\berror: '([a-z_]+)'/g)
        .map(([, error]) => error!),
    )
    expect(errors.size).toBeGreaterThan(8)
    for (const error of errors) {
      if (ELSEWHERE.has(error)) continue
      const { isFine, message } = adviceOn(json(400, { error }), TO)
      expect({ isFine, isOwn: !message.startsWith(GENERAL) }, error).toEqual({ isFine: false, isOwn: true })
    }
  })

  it.each([
    ['no_match', 'another secret'],
    ['missing_headers', 'removes them'],
    ['mixed_headers', 'those of the sender'],
    ['bad_timestamp', 'rewrites headers'],
    ['timestamp_too_old', 'the clocks differ'],
    ['timestamp_too_new', 'the clocks differ'],
    ['not_utf8', 're-encodes'],
  ])('401 %s', (reason, cure) => {
    expect(adviceOn(json(401, { error: 'invalid_signature', reason }), TO).message).toContain(cure)
  })
})

describe('an answer of something else', () => {
  it.each([
    [401, 'asks for a password'],
    [403, 'firewall'],
    [404, 'no such path'],
    [405, 'does not let POST pass'],
    [413, 'client_max_body_size'],
    [418, 'refuses the request with 418'],
    [429, 'limits the rate'],
    [500, 'see its log'],
    [502, 'cannot reach the service'],
    [503, 'no service to pass requests on to'],
    [504, 'in time'],
    [522, 'Cloudflare'],
    [599, 'see its log'],
  ])('with %i names what stands in front, and the cure', (status, cure) => {
    const { isFine, message } = adviceOn(page(status), TO)
    expect(isFine).toBe(false)
    expect(message).toContain(GENERAL)
    expect(message).toContain(cure)
  })

  it('is not fine with a 200 that is not the service’s', () => {
    for (const answer of [
      page(200),
      page(204, ''),
      json(200, { ok: true }),
      json(200, null),
      page(200, '{"received":true}'),
    ])
      expect(adviceOn(answer, TO)).toMatchObject({
        isFine: false,
        message: expect.stringContaining('not this service'),
      })
    expect(adviceOn(json(403, { error: 'constructor' }), TO).message).toContain('firewall')
  })

  it('is told where it redirects to, without what the target’s query holds', () => {
    const redirect = (location: string | null, to = TO) => adviceOn({ ...page(301), location }, to).message
    expect(redirect('https://example.com/webhook', new URL('http://example.com/webhook'))).toBe(
      'it redirects to https://example.com/webhook, which Svix does not follow: give Svix the https:// URL',
    )
    expect(redirect('/login?next=secret')).toContain('it redirects to https://example.com/login, which')
    expect(redirect(null)).toContain('it redirects, which Svix does not follow')
    expect(redirect('http://[')).toContain('it redirects, which')
  })
})

it.each([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ENOTFOUND', 'no address'],
  ['EAI_AGAIN', 'name server'],
  ['ECONNRESET', 'was cut'],
  ['ETIMEDOUT', 'no answer in time'],
  ['TimeoutError', 'no answer in time'],
  ['UND_ERR_CONNECT_TIMEOUT', 'no answer in time'],
  ['EHOSTUNREACH', 'no way'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'signed by itself'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'intermediate'],
  ['CERT_HAS_EXPIRED', 'expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'another host name'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'speak HTTPS at all'],
  ['HPE_INVALID_CONSTANT', 'HTTP/1.1'],
])('a connection that fails with %s has a cure', (code, cure) => {
  expect(adviceOnFailure(code)).toContain(cure)
})
