import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { type EndpointKeys, endpointKeys, InvalidSignature, MAX_UNSCREENED_BYTES, verify } from './verify.ts'

/** Signatures cannot be told from forged ones in this process. */
export class VerifierBroken extends Error {
  override readonly name = 'VerifierBroken'
}

/**
 * Tries genuine and forged signatures on the code that checks deliveries, small and large ones.
 *
 * User code runs in this process. Svix's library compares signatures by the whole buffers behind what the global
 * `TextEncoder` returns: one that returns views of a pool, as some polyfills do, makes every signature of the right
 * length pass. A mock of the library or of node:crypto that was left in place does the same.
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

/** What Svix's library takes from the global environment whenever it is called, and user code can replace. */
function globalsInUse() {
  return { encoder: globalThis.TextEncoder, encode: globalThis.TextEncoder.prototype.encode }
}

/** Read when this module is loaded, which is before any user code is. */
const ORIGINALS = globalsInUse()

/**
 * Returns a function that throws VerifierBroken when what the library relies on was replaced and the replacement fails
 * the check: user code may do that at any time. Costs next to nothing while nothing changes.
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
