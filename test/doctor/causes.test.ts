import { mkdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { signed } from '../support/service.ts'
import { fillUp, smallDisk } from '../support/small-disk.ts'
import { hasOpenssl, makeCertificate } from './certificates.ts'
import { FAULTS } from './faults.ts'
import { type Fault, listening, startProxy } from './proxy.ts'
import { diagnose, expectCause, expectHealthy, sharedService, startService } from './support.ts'

/** Some tests start several processes, on a machine that others use, too. ms */
vi.setConfig({ testTimeout: 180_000 })

const shared = sharedService()

/** Each cause is named as what it is, and a set-up without one has none. */

describe('a healthy set-up', () => {
  it('has no problem, with the service alone and behind a proxy; and doctor leaves nothing behind', async () => {
    const on = await startService({ ADMIN_TOKEN: 'operator-of-the-test' })
    expectHealthy(await on.doctor({ PUBLIC_URL: on.url }))
    expectHealthy(await on.doctor({}, '--url', `${await startProxy(on.url)}/webhook`))
    const again = await on.doctor({}, '--url', on.url)
    expect(again.of('refusals')).toMatchObject({ status: 'ok' })
    expect(again.of('channels')).toMatchObject({ status: 'skipped' })
    expect(on.service.lines.filter(({ msg }) => msg === 'refused' || msg === 'delivery')).toEqual([])
  })

  it.runIf(hasOpenssl)('has a warning when only this machine trusts the certificate', async () => {
    const on = await startService()
    const certificate = makeCertificate()
    const url = await startProxy(on.url, {}, certificate)
    const report = await on.doctor({ PUBLIC_URL: url, NODE_EXTRA_CA_CERTS: certificate.ca })
    expectHealthy(report)
    expect(report.of('certificate').found).toContain('only this machine trusts the certificate')
  })

  it('without a service and without a URL has warnings, and no problem', async () => {
    const on = await startService()
    await on.service.end('SIGTERM')
    const report = await on.doctor()
    expect(report.code).toBe(0)
    expect(report.of('service')).toMatchObject({ status: 'warning', found: 'no service runs on this database' })
    expect(report.of('dns')).toMatchObject({ status: 'skipped', cure: expect.stringContaining('PUBLIC_URL') })
  })
})

describe('what stands in front', () => {
  it.for(FAULTS)('$what', async ({ fault, check, words }) => {
    const on = await shared()
    const report = await on.doctor({ PUBLIC_URL: await startProxy(on.url, fault) })
    // What keeps a small delivery from arriving may keep a large one, too.
    const also = ['delivery', 'large body'].filter((name) => report.of(name).status === 'problem')
    expectCause(report, { ...Object.fromEntries(also.map((name) => [name, /./])), [check]: words })
  })

  it('that takes only small bodies', async () => {
    const on = await shared()
    const answer: Fault['answer'] = (request, response) =>
      Number(request.headers['content-length'] ?? 0) > 100_000 && !!response.writeHead(413).end('<h1>413</h1>')
    const report = await on.doctor({ PUBLIC_URL: await startProxy(on.url, { answer }) })
    expectCause(report, { 'large body': /answered with 413/ })
    expect(report.of('large body').cure).toContain('client_max_body_size')
  })

  it('that never passes a POST on', async () => {
    const on = await shared()
    const answer: Fault['answer'] = ({ method }) => method === 'POST'
    const report = await on.hastyDoctor({ PUBLIC_URL: await startProxy(on.url, { answer }) })
    expectCause(report, {
      signature: /no answer within 3 s/,
      delivery: /no answer within 3 s/,
      'large body': /no answer within 3 s/,
    })
  })

  it('that is slow is a warning', async () => {
    const on = await shared()
    const late: Fault['change'] = async ({ method }) => {
      if (method === 'POST') await delay(1_100)
    }
    const report = await on.hastyDoctor({ PUBLIC_URL: await startProxy(on.url, { change: late }) })
    expect(report.code).toBe(0)
    expect(report.of('delivery')).toMatchObject({ status: 'warning', found: expect.stringMatching(/took \d+ ms/) })
  })

  it('that leads to another installation', async () => {
    const [on, other] = [await shared(), await startService()]
    expectCause(await on.doctor({ PUBLIC_URL: other.url }), { answer: /not by the one with this database/ })
  })

  it('that nothing listens behind', async () => {
    const on = await shared()
    expectCause(await on.doctor({ PUBLIC_URL: 'http://127.0.0.1:1' }), { tcp: /takes no connections/ })
    expectCause(await on.doctor({ PUBLIC_URL: 'https://no-such-name.invalid' }), { dns: /has no address/ })
  })
})

describe.runIf(hasOpenssl)('a certificate', () => {
  it.for([
    ['of nobody that is known', {}, false, /refused/],
    ['that has expired', { days: -1 }, true, /CERT_HAS_EXPIRED/],
    ['for another name', { names: ['other.example'] }, true, /ERR_TLS_CERT_ALTNAME_INVALID/],
  ] as const)('%s', async ([_what, made, trusted, words]) => {
    const on = await shared()
    const certificate = makeCertificate(made)
    const url = await startProxy(on.url, {}, certificate)
    const report = await on.doctor({ PUBLIC_URL: url, ...(trusted ? { NODE_EXTRA_CA_CERTS: certificate.ca } : {}) })
    expectCause(report, { certificate: words })
    expect(report.of('answer')).toMatchObject({ status: 'skipped' })
  })

  it('that ends soon is a warning', async () => {
    const on = await shared()
    const certificate = makeCertificate({ days: 5 })
    const url = await startProxy(on.url, {}, certificate)
    const report = await on.doctor({ PUBLIC_URL: url, NODE_EXTRA_CA_CERTS: certificate.ca })
    expectHealthy(report)
    expect(report.of('certificate').items).toContainEqual({
      status: 'warning',
      found: expect.stringMatching(/is valid for 4 days$/),
      cure: expect.stringContaining('renew'),
    })
  })

  it('that is none at all', async () => {
    const on = await shared()
    const url = (await startProxy(on.url)).replace('http:', 'https:')
    expectCause(await on.doctor({ PUBLIC_URL: url }), { certificate: /there is no TLS connection/ })
  })
})

describe('secrets', () => {
  it('other than the service has are told apart from those of another endpoint', async () => {
    const on = await shared()
    const wrong = await on.doctor({ PUBLIC_URL: on.url, SVIX_WEBHOOK_SECRET: newSecret() })
    expectCause(wrong, { service: /refuses what is signed/, delivery: /\(no_match\)$/, 'large body': /no_match/ })
    const swapped = await on.doctor({
      PUBLIC_URL: on.url,
      SVIX_WEBHOOK_SECRET: on.env.SVIX_WEBHOOK_SECRET_DEV!,
      SVIX_WEBHOOK_SECRET_DEV: on.env.SVIX_WEBHOOK_SECRET!,
    })
    const words = /it has that of \/webhook\/dev/
    expectCause(swapped, { service: words, delivery: words, 'large body': words })
  })

  it('of Svix that are not those of the service show as what it refused', async () => {
    const on = await startService({ ADMIN_TOKEN: 'operator-of-the-test' })
    await fetch(`${on.url}/webhook`, { method: 'POST', body: '{}', headers: signed(newSecret(), '{}') })
    expectCause(await on.doctor(), { refusals: /refused 1 requests since .*no_match, and accepted none/ })
  })
})

describe('Reducto', () => {
  it('that refuses the key', async () => {
    const on = await startService()
    on.reducto.setAccountFault({ is: 'status', status: 401, body: { detail: 'Invalid API key' } })
    const report = await on.doctor()
    expect(report.of('key')).toMatchObject({ status: 'problem', found: expect.stringContaining('refuses the key') })
  })

  it('whose clock is another', async () => {
    const on = await startService()
    for (const [minutes, words] of [
      [10, 'behind'],
      [-10, 'ahead of'],
    ] as const) {
      const url = `http://127.0.0.1:${await listening(
        createServer((_request, response) => {
          const date = new Date(Date.now() + minutes * 60_000).toUTCString()
          response.writeHead(200, { date, 'content-type': 'application/json' }).end('{"jobs":[]}')
        }),
      )}`
      const report = await on.doctor({ REDUCTO_BASE_URL: url })
      expectCause(report, { clock: new RegExp(`clock is \\d{3} s ${words}`) })
    }
  })
})

describe('a disk', () => {
  it('that is full', async (test) => {
    const disk = smallDisk(8)
    if (disk === null) return test.skip()
    const on = await startService()
    mkdirSync(join(disk, 'results'))
    fillUp(disk)
    const report = await on.doctor({ RESULTS_URL: `file:${disk}/results` })
    expectCause(report, { disk: /0 bytes free/, results: /no result can be saved/ })
  })
})

describe('a disk with everything on it', () => {
  it('that is full ends nothing', async (test) => {
    const disk = smallDisk(16)
    if (disk === null) return test.skip()
    const places = { DATABASE_URL: `sqlite:${disk}/receiver.db`, RESULTS_URL: `file:${disk}/results` }
    for (const isRunning of [true, false]) {
      const on = await startService(places)
      if (!isRunning) await on.service.end('SIGTERM')
      const filler = fillUp(disk)
      const report = await on.doctor(isRunning ? { PUBLIC_URL: on.url } : {})
      rmSync(filler)
      await on.service.end('SIGTERM')
      expect(report.of('disk')).toMatchObject({ status: 'problem', found: expect.stringContaining('0 bytes free') })
      expect(report.of('results')).toMatchObject({ status: 'problem', cure: expect.stringContaining('make room') })
      expect(report.checks.filter(({ found }) => /in time|no result within/.test(found))).toEqual([])
      expect(isRunning ? report.of('delivery').status : 'ok').toBe('ok')
      const { status, cure } = report.of('database')
      expect([status, cure]).toEqual(isRunning ? ['warning', cure] : ['problem', 'make room: see disk'])
    }
  })
})

describe('settings', () => {
  it('that are wrong are told, and the rest is checked', async () => {
    const on = await startService()
    const report = await on.doctor({ FETCH_RETRY_FOR: 'soon', SVIX_WEBHOOK_SECRET: 'whsec_short', PUBLIC_URL: on.url })
    expect(report.code).toBe(78)
    expect(
      report
        .of('settings')
        .items.map(({ found }) => found.split(':')[0])
        .sort(),
    ).toEqual(['FETCH_RETRY_FOR', 'SVIX_WEBHOOK_SECRET'])
    expect(report.of('secrets')).toMatchObject({
      status: 'skipped',
      found: 'the settings are wrong or missing: SVIX_WEBHOOK_SECRET',
    })
    for (const name of ['database', 'results', 'key', 'disk']) expect(report.of(name)).toMatchObject({ status: 'ok' })
  })

  it('that are all missing end nothing', async () => {
    const report = await diagnose({ DATABASE_URL: 'sqlite:/nowhere/at/all.db' })
    expect(report.code).toBe(78)
    expect(report.of('settings').status).toBe('problem')
  })
})
