import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { type EndpointKeys, endpointKeys, InvalidSignature, MAX_UNSCREENED_BYTES, verify } from './verify.ts'

/** This process cannot distinguish genuine signatures from forged ones. */
export class VerifierBroken extends Error {
  override readonly name = 'VerifierBroken'
}

/**
 * Tests the code that checks deliveries with genuine and forged signatures of small and large bodies.
 *
 * User code runs in this process. Svix's library compares the whole buffers behind what the global `TextEncoder`
 * returns: an encoder that returns views of a pool, as some polyfills do, makes every signature of the right length
 * pass. So does a mock of the library or of node:crypto that was left in place.
 * @throws VerifierBroken
 */
export function checkVerifier(): void {
  if (timingSafeEqual(Buffer.alloc(32, 1), Buffer.alloc(32, 2))) throw broken('different secrets count as the same')
  const [own, other] = [randomBytes(24), randomBytes(24)]
  const keys = endpointKeys('check', [`whsec_${own.toString('base64')}`])
  for (const bytes of [64, MAX_UNSCREENED_BYTES + 1]) {
    const body = Buffer.alloc(bytes, 'x')
    const changed = Buffer.alloc(bytes, 'y')
    const signature = signed(body, own)
    if (passes(body, signed(body, other), keys)) throw broken('a signature made with another secret passes')
    if (passes(changed, signature, keys)) throw broken('a signature of another body passes')
    if (passes(body, { ...signature, id: 'msg_other' }, keys)) throw broken('a signature of another id passes')
    if (passes(body, { ...signature, signature: `v1,${'A'.repeat(43)}=` }, keys))
      throw broken('an invented signature passes')
    if (!passes(body, signature, keys)) throw broken('a genuine signature does not pass')
  }
}

/** The globals that Svix's library uses at each call, and that user code can replace. */
function globalsInUse() {
  return { encoder: globalThis.TextEncoder, encode: globalThis.TextEncoder.prototype.encode }
}

/** Read when this module is loaded, before any user code. */
const ORIGINALS = globalsInUse()

/**
 * Returns a function that throws VerifierBroken when one of these globals was replaced and the replacement fails the
 * check: user code may replace them at any time. Costs almost nothing while nothing changes.
 */
export function createGuard(): () => void {
  let trusted = ORIGINALS

  return () => {
    const { encoder, encode } = globalsInUse()
    if (encoder === trusted.encoder && encode === trusted.encode) return
    checkVerifier()
    trusted = { encoder, encode }
  }
}

function passes(body: Buffer, signature: Signature, keys: EndpointKeys): boolean {
  try {
    verify(body, signature, keys)
    return true
  } catch (error) {
    if (error instanceof InvalidSignature) return false
    throw broken(`checking a signature fails: ${error instanceof Error ? error.message : String(error)}`)
  }
}

type Signature = Parameters<typeof verify>[1]

function signed(body: Buffer, key: Buffer): Signature {
  const id = 'msg_check'
  const timestamp = String(Math.floor(Date.now() / 1000))
  const digest = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')
  return { id, timestamp, signature: `v1,${digest}` }
}

function broken(what: string): VerifierBroken {
  return new VerifierBroken(
    `${what}: something in this process, probably a package that HANDLER imports, has replaced TextEncoder, the clock, the svix library or parts of node:crypto`,
  )
}
