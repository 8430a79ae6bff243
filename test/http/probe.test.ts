import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../src/inbox/open.ts'
import { createProver, NONCE_HEADER, PROOF_HEADER, type Prover } from '../../src/proof.ts'
import { newSecret } from '../../src/signing.ts'
import { signed, type TestService, testService } from '../support/service.ts'

/** How doctor recognises the service, and looks at a delivery as it arrived. */

async function started(env: Record<string, string> = {}): Promise<{ service: TestService; prover: Prover }> {
  const service = await testService({ env })
  const ledger = await openLedger({ kind: 'sqlite', path: `${service.folder}/receiver.db` })
  const prover = createProver(await ledger.linkKey())
  await ledger.close()
  return { service, prover }
}

const PING = '{"success":true}'

describe('a challenge', () => {
  it('is answered with its proof by /healthz, and by every answer of a webhook', async () => {
    const { service, prover } = await started()
    for (const [path, method, status] of [
      ['/healthz', 'GET', 200],
      ['/webhook', 'GET', 405],
      ['/webhook', 'POST', 401],
      ['/webhook/nobody', 'POST', 404],
    ] as const) {
      const { header, proof } = prover.probe(Date.now())
      const nonce = header.split('.', 1)[0]!
      const answer = await fetch(service.url + path, { method, headers: { [NONCE_HEADER]: nonce } })
      expect([path, answer.status, answer.headers.get(PROOF_HEADER)]).toEqual([path, status, proof])
    }
  })

  it.each([
    ['too short', 'a'.repeat(21)],
    ['too long', 'a'.repeat(65)],
    ['of other characters', `${'a'.repeat(30)} b`],
    ['a text that is signed elsewhere', '["saved file","job","path","1"]'],
  ])('that is %s gets no proof', async (_what, nonce) => {
    const { service } = await started()
    const answer = await fetch(`${service.url}/healthz`, { headers: { [NONCE_HEADER]: nonce } })
    expect([answer.status, answer.headers.get(PROOF_HEADER)]).toEqual([200, null])
  })

  it('says nothing that can be used for a probe or a link', () => {
    const key = randomBytes(32)
    const prover = createProver(key)
    const { header } = prover.probe(1e12)
    const [nonce = '', timestamp = '', seal] = header.split('.')
    expect(prover.read(nonce, 1e12)?.proof).not.toBe(seal)
    expect(prover.read(`${nonce}.${timestamp}.${prover.read(nonce, 1e12)?.proof}`, 1e12)).toMatchObject({
      isProbe: false,
    })
    expect(createProver(randomBytes(32)).read(header, 1e12)).toMatchObject({ isProbe: false })
    expect(prover.read(header, 1e12)).toMatchObject({ isProbe: true })
    expect(prover.read(header, 1e12 + 331_000)).toMatchObject({ isProbe: false })
    expect(prover.read(header, 1e12 - 331_000)).toMatchObject({ isProbe: false })
  })
})

describe('a probe', () => {
  async function probe({ service, prover }: Awaited<ReturnType<typeof started>>, body: string, secret: string) {
    const { header, proof } = prover.probe(Date.now())
    const headers = { ...signed(secret, body), [NONCE_HEADER]: header, 'x-of-a-proxy': 'secret of its own' }
    const answer = await fetch(`${service.url}/webhook`, { method: 'POST', headers, body })
    expect(answer.headers.get(PROOF_HEADER)).toBe(proof)
    const { probe: echo } = (await answer.json()) as { probe: Record<string, unknown> }
    return { ...echo, status: answer.status }
  }

  it('tells how it arrived, and whether it would be accepted; nothing is recorded or counted as refused', async () => {
    const on = await started()
    const refused: unknown[] = []
    on.service.events.on('refused', (one) => refused.push(one))
    const large = JSON.stringify({ success: true, padding: 'ä'.repeat(500_000) })
    for (const body of [PING, large])
      expect(await probe(on, body, on.service.secret)).toMatchObject({
        ...{ endpoint: 'default', status: 200, signature: 'valid', bytes: Buffer.byteLength(body) },
        sha256: createHash('sha256').update(body).digest('hex'),
        header_names: expect.arrayContaining(['x-of-a-proxy', 'svix-id']),
      })
    expect(await probe(on, PING, newSecret())).toMatchObject({ status: 401, signature: 'no_match' })
    const shown = await probe(on, PING, on.service.secret)
    expect(JSON.stringify(shown)).not.toContain('secret of its own')
    const { header } = on.prover.probe(Date.now())
    expect((await fetch(`${on.service.url}/webhook`, { headers: { [NONCE_HEADER]: header } })).status).toBe(405)
    expect((await on.service.inbox.stats()).deliveries).toEqual({ job: 0, ignored: 0, rejected: 0 })
    expect(refused).toEqual([])
  })

  it('that is forged is a delivery like any other', async () => {
    const { service } = await started()
    const { header } = createProver(randomBytes(32)).probe(Date.now())
    const headers = { ...signed(service.secret, PING), [NONCE_HEADER]: header }
    const answer = await fetch(`${service.url}/webhook`, { method: 'POST', headers, body: PING })
    expect(await answer.json()).toEqual({ received: true, ignored: 'not a Reducto job update' })
    const forged = { ...signed(newSecret(), PING), [NONCE_HEADER]: header }
    expect((await fetch(`${service.url}/webhook`, { method: 'POST', headers: forged, body: PING })).status).toBe(401)
  })

  it('of more than 1 MiB is refused like any other body', async () => {
    const { service, prover } = await started()
    const body = 'x'.repeat(1024 * 1024 + 1)
    const headers = { ...signed(service.secret, body), [NONCE_HEADER]: prover.probe(Date.now()).header }
    expect((await fetch(`${service.url}/webhook`, { method: 'POST', headers, body })).status).toBe(413)
  })
})
