import type { lookup as dnsLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { describe, expect, it } from 'vitest'
import { addressKind, isGlobal } from '../../src/download/addresses.ts'
import { createGuardedLookup } from '../../src/download/guarded-lookup.ts'
import { createPrivateHosts } from '../../src/download/private-hosts.ts'
import { downloads, failure, plain, read, serve, wholeFailure } from './support.ts'

/** A resolver that gives these addresses, call by call; the last ones for ever. */
function resolver(...answers: string[][]): typeof dnsLookup & { asked: () => number } {
  let asked = 0
  const lookup = (_name: string, _options: unknown, callback: (error: null, addresses: unknown) => void) => {
    const answer = answers[Math.min(asked++, answers.length - 1)]!
    callback(
      null,
      answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }
  return Object.assign(lookup, { asked: () => asked }) as never
}

function lookUp(guarded: LookupFunction, all: boolean): Promise<unknown> {
  return new Promise((resolve, reject) =>
    guarded('storage.example', { all }, (error, address) => (error ? reject(error) : resolve(address))),
  )
}

describe('what is global', () => {
  it.each(['8.8.8.8', '2606:4700:4700::1111', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '64:ff9b::808:808'])(
    '%s is',
    (address) => expect(isGlobal(address)).toBe(true),
  )

  it.each([
    ['10.0.0.1', 'private'],
    ['127.0.0.1', 'loopback'],
    ['169.254.169.254', 'linkLocal'],
    ['100.64.0.1', 'carrierGradeNat'],
    ['192.0.0.8', 'reserved'],
    ['198.18.0.1', 'reserved'],
    ['203.0.113.1', 'reserved'],
    ['168.63.129.16', 'reserved'],
    ['0.0.0.0', 'unspecified'],
    ['224.0.0.1', 'multicast'],
    ['255.255.255.255', 'broadcast'],
    ['::1', 'loopback'],
    ['::', 'unspecified'],
    ['::ffff:10.0.0.1', 'private'],
    ['::ffff:168.63.129.16', 'reserved'],
    ['::10.0.0.1', 'reserved'],
    ['::8.8.8.8', 'reserved'],
    ['::ffff:0:8.8.8.8', 'rfc6145'],
    ['fd00:ec2::254', 'uniqueLocal'],
    ['fe80::1', 'linkLocal'],
    ['fec0::1', 'deprecatedSiteLocal'],
    ['ff02::1', 'multicast'],
    ['2001:db8::1', 'reserved'],
    ['2002:808:808::', '6to4'],
    ['2001::1', 'teredo'],
    ['64:ff9b::10.0.0.1', 'private'],
    ['64:ff9b::169.254.169.254', 'linkLocal'],
    ['64:ff9b::127.0.0.1', 'loopback'],
    ['64:ff9b::168.63.129.16', 'reserved'],
    ['64:ff9b:1::8.8.8.8', 'rfc6052'],
    ['64:ff9b:1:ffff::1', 'rfc6052'],
    ['nonsense', 'invalid'],
  ])('%s is not: %s', (address, kind) => {
    expect(isGlobal(address)).toBe(false)
    expect(addressKind(address)).toBe(kind)
  })
})

describe('a link', () => {
  it.each([
    'http://127.0.0.1:PORT/',
    'https://127.0.0.1:PORT/',
    'https://127.0.0.1.:PORT/',
    'https://localhost:PORT/',
    'https://127.1:PORT/',
    'https://2130706433:PORT/',
    'https://0x7f000001:PORT/',
    'https://0177.0.0.1:PORT/',
    'https://[::1]:PORT/',
    'https://[::ffff:127.0.0.1]:PORT/',
    'https://[::ffff:7f00:1]:PORT/',
    'https://0.0.0.0:PORT/',
    'https://[::]:PORT/',
    'https://169.254.169.254/latest/meta-data',
    'https://10.0.0.1/',
    'https://192.168.1.1/',
    'https://172.16.0.1/',
    'https://100.64.0.1/',
    'https://[fd00::1]/',
    'https://[fe80::1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[64:ff9b:1::808:808]/',
    'https://[2002:7f00:1::]/',
    'https://255.255.255.255/',
    'https://224.0.0.1/',
    'http://example.com/',
    'HTTPS://LOCALHOST:PORT/',
    'https://user:password@127.0.0.1:PORT/',
  ])('is blocked, and worth another try: %s', async (url) => {
    const { port, requests } = await serve((_request, response) => response.end('secret'))
    const error = await failure(downloads({ allow: [] })(url.replace('PORT', String(port)), plain))
    expect(error).toMatchObject({
      kind: 'blocked',
      message: expect.stringContaining(
        `add ${new URL(url.replace('PORT', String(port))).host} to DOWNLOAD_ALLOW_PRIVATE_HOSTS`,
      ),
      host: new URL(url.replace('PORT', String(port))).host,
    })
    expect(requests()).toBe(0)
  })

  it.each([
    'ftp://example.com/',
    'file:///etc/passwd',
    'data:text/plain,x',
    'javascript:1',
    'nonsense',
    '',
    'https://',
    '//example.com/x',
  ])('that no setting could allow is never followed: %j', async (url) => {
    expect((await failure(downloads()(url, plain))).kind).toBe('never')
  })

  it('is judged by what its name resolves to at the moment it is connected to, each time anew', async () => {
    const { port, requests } = await serve((_request, response) => response.end('secret'))
    const answers = [['127.0.0.1'], ['10.0.0.1', '169.254.169.254'], ['::1'], ['::ffff:10.0.0.1'], ['64:ff9b::7f00:1']]
    const lookup = resolver(...answers)
    const download = downloads({ allow: [], lookup })
    for (const answer of answers) {
      const error = await failure(download(`https://rebinding.example:${port}/`, plain))
      expect(error).toMatchObject({ kind: 'blocked', host: `rebinding.example:${port}` })
      expect(error.message).toContain(`${answer[0]} (${addressKind(answer[0]!)})`)
      expect(error.message).toContain('add rebinding.example to DOWNLOAD_ALLOW_PRIVATE_HOSTS')
    }
    expect(lookup.asked()).toBe(answers.length)
    expect(requests()).toBe(0)
  })

  it('goes to the public ones of its addresses, if there are any', async () => {
    const guarded = createGuardedLookup(resolver(['10.0.0.1', '8.8.8.8', '::1', '64:ff9b::808:808']))
    expect(await lookUp(guarded, true)).toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '64:ff9b::808:808', family: 6 },
    ])
    expect(await lookUp(guarded, false)).toBe('8.8.8.8')
    await expect(lookUp(createGuardedLookup(resolver([])), true)).rejects.toThrow('has no address')
  })

  it('fails when its name cannot be looked up', async () => {
    const lookup = ((_name: string, _options: unknown, callback: (error: Error) => void) =>
      callback(Object.assign(new Error('getaddrinfo EAI_AGAIN storage.example'), { code: 'EAI_AGAIN' }))) as never
    const error = await failure(downloads({ lookup })('https://storage.example/', plain))
    expect(error).toMatchObject({ kind: 'failed', message: expect.stringContaining('EAI_AGAIN') })
  })

  it('tells every address that refused', async () => {
    const { port } = await serve(() => {})
    const dead = port === 65_535 ? 65_534 : port + 1
    const lookup = resolver(['::1', '127.0.0.1'])
    const error = await failure(
      downloads({ allow: ['storage.example'], lookup })(`http://storage.example:${dead}/`, plain),
    )
    expect(error.kind).toBe('failed')
    expect(error.message).toMatch(/127\.0\.0\.1/)
    expect(error.message).toMatch(/::1/)
  })
})

describe('a private host that the settings name', () => {
  it('is allowed, by name or by address', async () => {
    const { port } = await serve((_request, response) => response.end('on-prem'))
    for (const host of ['localhost', '127.0.0.1', `127.0.0.1:${port}`, 'LOCALHOST'])
      expect(
        String(await read((await downloads({ allow: [host] })(`http://${host.split(':')[0]}:${port}/`, plain)).body)),
      ).toBe('on-prem')
  })

  it('is allowed on its port alone when the setting has one', async () => {
    const { port, requests } = await serve((_request, response) => response.end('secret'))
    for (const other of [port - 1, 80, 443]) {
      const error = await failure(downloads({ allow: [`127.0.0.1:${other}`] })(`http://127.0.0.1:${port}/`, plain))
      expect(error.kind).toBe('blocked')
    }
    expect(requests()).toBe(0)
  })

  it.each([
    ['minio', 'http://minio:9000/', true],
    ['minio:9000', 'http://minio:9000/', true],
    ['minio:9000', 'http://minio/', false],
    ['minio:443', 'https://minio/', true],
    ['minio:80', 'http://minio/', true],
    ['minio:80', 'https://minio/', false],
    ['::1', 'http://[::1]:9000/', true],
    ['[::1]', 'http://[0:0::1]/', true],
    ['[::1]:9000', 'http://[::1]:9000/', true],
    ['[::1]:9000', 'http://[::1]:9001/', false],
    ['minio', 'http://minio.example/', false],
  ])('%s allows %s: %s', (entry, url, allowed) => {
    expect(createPrivateHosts(new Set([entry]))(new URL(url))).toBe(allowed)
  })
})

describe('a redirect', () => {
  const redirecting = () =>
    serve((request, response) => {
      const { searchParams, pathname } = new URL(request.url!, 'http://x')
      const hops = Number(searchParams.get('hops'))
      const location = searchParams.get('to') ?? (hops > 0 ? `/?hops=${hops - 1}` : null)
      if (pathname === '/circle') response.writeHead(302, { location: '/circle' }).end()
      else if (location !== null) response.writeHead(Number(searchParams.get('as') ?? 302), { location }).end()
      else response.end('here')
    })

  it('is followed, five at most', async () => {
    const { port } = await redirecting()
    const download = downloads()
    for (const as of [301, 302, 303, 307, 308])
      expect(String(await read((await download(`http://127.0.0.1:${port}/?to=/&as=${as}`, plain)).body))).toBe('here')
    expect(String(await read((await download(`http://127.0.0.1:${port}/?hops=5`, plain)).body))).toBe('here')
    expect(await failure(download(`http://127.0.0.1:${port}/?hops=6`, plain))).toMatchObject({
      kind: 'blocked',
      message: expect.stringMatching(
        /more than 5 times\. No setting allows that: the storage must answer with the file/,
      ),
    })
  })

  it('to where it came from, or to what is no http(s) URL, is blocked', async () => {
    const { port } = await redirecting()
    for (const path of ['circle', '?to=ftp://example.com/', '?to=http://', '?to=file:///etc/passwd'])
      expect(await failure(downloads()(`http://127.0.0.1:${port}/${path}`, plain))).toMatchObject({
        kind: 'blocked',
        host: `127.0.0.1:${port}`,
        message: expect.stringMatching(/^(?!.*DOWNLOAD_ALLOW).*No setting allows that: the storage must/),
      })
  })

  it('never leads to a private host, not even to an allowed one, and not by way of another connection', async () => {
    const secret = await serve((_request, response) => response.end('secret'))
    const { port } = await redirecting()
    const download = downloads({ allow: ['127.0.0.1', 'localhost'] })
    // A connection to it that may be used again.
    await read((await download(`http://127.0.0.1:${secret.port}/`, plain)).body)
    for (const to of [
      `http://localhost:${port}/`,
      `http://127.0.0.1:${secret.port}/`,
      `https://127.0.0.1:${secret.port}/`,
      `http://[::ffff:127.0.0.1]:${secret.port}/`,
      'http://169.254.169.254/latest/meta-data',
      'http://example.com/',
    ]) {
      const error = await failure(download(`http://127.0.0.1:${port}/?to=${encodeURIComponent(to)}`, plain))
      expect([to, error.kind]).toEqual([to, 'blocked'])
      expect(error.host).toBe(`127.0.0.1:${port}`)
      // It names these two already.
      expect(error.message).toMatch(/No setting lets a redirect lead there/)
      expect(error.message).not.toContain('DOWNLOAD_ALLOW')
    }
    expect(secret.requests()).toBe(1)
  })

  it('to a name that resolves to a private address is blocked, and no setting is named for it', async () => {
    const { port } = await redirecting()
    const lookup = resolver(['10.0.0.1'])
    const url = `http://127.0.0.1:${port}/?to=${encodeURIComponent('https://inside.example/')}`
    const { message } = await failure(downloads({ allow: ['127.0.0.1', 'inside.example'], lookup })(url, plain))
    expect(message).toMatch(/^inside\.example is refused: .*No setting lets a redirect lead there/)
    expect(message).not.toContain('DOWNLOAD_ALLOW')
  })

  it('within an allowed host is followed', async () => {
    const { port } = await redirecting()
    const url = `http://127.0.0.1:${port}/?to=${encodeURIComponent(`http://127.0.0.1:${port}/`)}`
    expect(String(await read((await downloads()(url, plain)).body))).toBe('here')
  })

  it('without an end has one', async () => {
    const { port } = await serve((_request, response) => {
      // Each redirect is quick; all of them together are not.
      setTimeout(() => response.writeHead(302, { location: `/${Math.random()}` }).end(), 20)
    })
    expect((await failure(downloads({ answerTimeout: 50 })(`http://127.0.0.1:${port}/`, plain))).kind).toBe('timeout')
  })
})

it('the failure of a whole download names the host of the link', async () => {
  const { port } = await serve((_request, response) => response.writeHead(503, { 'retry-after': '7' }).end())
  expect(await wholeFailure(downloads(), `http://127.0.0.1:${port}/?signature=secret`)).toMatchObject({
    kind: 'failed',
    host: `127.0.0.1:${port}`,
    retryAfter: 7000,
  })
})
