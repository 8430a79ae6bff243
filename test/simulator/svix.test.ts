import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { endpointKeys, readSignature, verify } from '../../src/receive/verify.ts'
import { createSvix, SCHEDULE } from '../../src/simulator/svix.ts'

/** The simulated Svix keeps Svix's promises, or what is proven against it proves nothing. */

type Seen = { readonly headers: IncomingHttpHeaders; readonly body: string }

async function world(statuses: number[] = [], speed = 36_000) {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      seen.push({ headers: request.headers, body })
      response.writeHead(statuses.shift() ?? 200).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const svix = createSvix({ speed })
  onTestFinished(async () => {
    await svix.stop()
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`
  return { svix, seen, url }
}

function verifies({ headers, body }: Seen, secret: string): boolean {
  try {
    verify(Buffer.from(body), readSignature(headers, Date.now()), endpointKeys('x', [secret]))
    return true
  } catch {
    return false
  }
}

describe('the simulated Svix', () => {
  it('signs so that the real library verifies', async () => {
    const { svix, seen, url } = await world()
    const endpoint = svix.addEndpoint({ url })
    const id = svix.send({ status: 'Completed', job_id: 'a', metadata: null })
    svix.send({}, { prefix: 'webhook' })
    await svix.settled()
    expect(seen).toHaveLength(2)
    expect(seen[0]!.headers['svix-id']).toBe(id)
    expect(seen[1]!.headers).toHaveProperty('webhook-id')
    for (const one of seen) expect(verifies(one, endpoint.secrets[0]!)).toBe(true)
  })

  it('retries on its schedule until a 2xx, with the same id, and takes a redirect for a failure', async () => {
    const { svix, url } = await world([500, 302, 503, 204])
    svix.addEndpoint({ url })
    const id = svix.send({})
    await svix.settled()
    expect(svix.attempts(id).map(({ status }) => status)).toEqual([500, 302, 503, 204])
  })

  it('gives up after eight attempts over 27 h 35 min', async () => {
    const { svix, url } = await world(
      Array.from({ length: 20 }, () => 500),
      3_600_000,
    )
    svix.addEndpoint({ url })
    const id = svix.send({})
    await svix.settled()
    expect(svix.attempts(id)).toHaveLength(8)
    expect(SCHEDULE.reduce((sum: number, seconds) => sum + seconds, 0)).toBe(27 * 3600 + 35 * 60 + 5)
  })

  it('resends, also what was delivered, and sends copies at once', async () => {
    const { svix, seen, url } = await world()
    svix.addEndpoint({ url })
    const id = svix.send({ a: 1 })
    await svix.settled()
    await svix.resend(id)
    await svix.burst(id, 5)
    expect(seen).toHaveLength(7)
    expect(new Set(seen.map(({ headers }) => headers['svix-id']))).toEqual(new Set([id]))
  })

  it('signs with the old and the new secret while one is rotated', async () => {
    const { svix, seen, url } = await world()
    const endpoint = svix.addEndpoint({ url })
    const old = endpoint.secrets[0]!
    const fresh = endpoint.rotate()
    svix.send({})
    await svix.settled()
    expect(verifies(seen[0]!, old)).toBe(true)
    expect(verifies(seen[0]!, fresh)).toBe(true)
    endpoint.endOverlap()
    svix.send({})
    await svix.settled()
    expect(verifies(seen[1]!, old)).toBe(false)
    expect(verifies(seen[1]!, fresh)).toBe(true)
  })

  it('delivers to the endpoints that listen to a channel of the message', async () => {
    const { svix, url } = await world()
    svix.addEndpoint({ url: `${url}/production`, channels: ['production'] })
    svix.addEndpoint({ url: `${url}/all` })
    const targets = (id: string) =>
      svix
        .attempts(id)
        .map((attempt) => attempt.url.split('/').at(-1))
        .sort()
    const one = svix.send({}, { channels: ['production'] })
    const other = svix.send({}, { channels: ['development'] })
    const every = svix.send({})
    await svix.settled()
    expect([targets(one), targets(other), targets(every)]).toEqual([
      ['all', 'production'],
      ['all'],
      ['all', 'production'],
    ])
  })

  it('disables an endpoint after five days of failures', async () => {
    const { svix, url } = await world(
      Array.from({ length: 100 }, () => 500),
      36_000_000,
    )
    const endpoint = svix.addEndpoint({ url })
    for (let message = 0; message < 10 && !endpoint.disabled; message++) {
      svix.send({})
      await svix.settled()
    }
    expect(endpoint.disabled).toBe(true)
  })
})
