import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { Webhook } from 'svix'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { checkVerifier, createGuard, VerifierBroken } from '../../src/receive/check-verifier.ts'
import { endpointKeys, InvalidSignature, readSignature, verify } from '../../src/receive/verify.ts'
import { newSecret, sign, signatureHeaders } from '../../src/signing.ts'

const original = { TextEncoder, encode: TextEncoder.prototype.encode, timingSafeEqual: crypto.timingSafeEqual }

afterEach(() => {
  globalThis.TextEncoder = original.TextEncoder
  TextEncoder.prototype.encode = original.encode
  crypto.timingSafeEqual = original.timingSafeEqual
  syncBuiltinESMExports()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** As polyfills do that avoid allocations: every result is a view of one buffer. */
class PooledTextEncoder extends original.TextEncoder {
  static readonly pool = new Uint8Array(4 * 1024 * 1024)
  override encode(text = ''): Uint8Array<ArrayBuffer> {
    const { written } = this.encodeInto(text, PooledTextEncoder.pool)
    return PooledTextEncoder.pool.subarray(0, written)
  }
}

function forged(body: string) {
  const headers = signatureHeaders(sign('msg_1', new Date(), body, [newSecret()]))
  return readSignature(headers, Date.now())
}

function passes(body: string): boolean {
  try {
    verify(Buffer.from(body), forged(body), endpointKeys('default', [newSecret()]))
    return true
  } catch (error) {
    if (error instanceof InvalidSignature) return false
    throw error
  }
}

describe('the check of the verifier', () => {
  it('passes in a process that nobody has tampered with', () => {
    expect(checkVerifier).not.toThrow()
  })

  it('finds a TextEncoder with a pool, with which the library takes any signature', () => {
    globalThis.TextEncoder = PooledTextEncoder
    expect(passes('{}')).toBe(true)
    expect(checkVerifier).toThrow(VerifierBroken)
  })

  const damages: [name: string, damage: () => void][] = [
    [
      'an encode method with a pool',
      () => {
        TextEncoder.prototype.encode = PooledTextEncoder.prototype.encode
      },
    ],
    [
      'an encoder that returns nothing',
      () => {
        TextEncoder.prototype.encode = () => new Uint8Array()
      },
    ],
    [
      'an encoder that throws',
      () => {
        TextEncoder.prototype.encode = () => {
          throw new Error('not here')
        }
      },
    ],
    [
      'a mock of the library that was left in place',
      () => void vi.spyOn(Webhook.prototype, 'verify').mockImplementation(() => {}),
    ],
    [
      'a comparison that always agrees',
      () => {
        crypto.timingSafeEqual = () => true
        syncBuiltinESMExports()
      },
    ],
    [
      'an HMAC that ignores its input',
      () => {
        vi.spyOn(crypto.Hmac.prototype, 'digest').mockReturnValue('A'.repeat(43) as never)
      },
    ],
  ]
  it.each(damages)('finds %s', (_name, damage) => {
    damage()
    expect(checkVerifier).toThrow(VerifierBroken)
  })

  it('says where to look', () => {
    globalThis.TextEncoder = PooledTextEncoder
    expect(checkVerifier).toThrow('HANDLER')
  })
})

describe('the guard in front of every verification', () => {
  it('notices what was replaced after the start, and goes on when the original is back', () => {
    const guard = createGuard()
    guard()
    globalThis.TextEncoder = PooledTextEncoder
    expect(guard).toThrow(VerifierBroken)
    expect(guard).toThrow(VerifierBroken)
    globalThis.TextEncoder = original.TextEncoder
    guard()
  })

  it('takes a replacement that works', () => {
    const guard = createGuard()
    globalThis.TextEncoder = class extends original.TextEncoder {}
    guard()
  })

  it('notices what was replaced before it was made, after this module was loaded', () => {
    TextEncoder.prototype.encode = PooledTextEncoder.prototype.encode
    expect(createGuard()).toThrow(VerifierBroken)
  })
})

describe('large bodies', () => {
  const large = 'x'.repeat(16 * 1024 + 1)
  let calls: ReturnType<typeof vi.spyOn>
  beforeEach(() => {
    calls = vi.spyOn(Webhook.prototype, 'verify')
  })

  function check(body: string, secret: string, secrets: string[]) {
    const signature = readSignature(signatureHeaders(sign('msg_1', new Date(), body, [secret])), Date.now())
    return () => verify(Buffer.from(body), signature, endpointKeys('default', secrets))
  }

  it('never reach the library when they are forged, however many secrets there are', () => {
    expect(check(large, newSecret(), [newSecret(), newSecret(), newSecret()])).toThrow(InvalidSignature)
    expect(calls).not.toHaveBeenCalled()
  })

  it('reach it once, with the secret that fits, and its word counts', () => {
    const secret = newSecret()
    expect(check(large, secret, [newSecret(), secret, newSecret()])()).toMatchObject({ body: large })
    expect(calls).toHaveBeenCalledTimes(1)
    calls.mockImplementation(() => {
      throw new Error('no')
    })
    expect(check(large, secret, [secret])).toThrow('no')
  })

  it.each(['\uFEFF', 'Grüße €', '\u0000', '😀'])('verify byte for byte: %j', (text) => {
    const secret = newSecret()
    expect(check(large + text, secret, [secret])()).toMatchObject({ body: large + text })
  })
})
