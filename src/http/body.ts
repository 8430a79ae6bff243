import type { IncomingMessage } from 'node:http'

/** Why a body was refused. */
export class BodyRefused extends Error {
  override readonly name = 'BodyRefused'
  readonly why: 'too_large' | 'timeout' | 'too_much_in_flight' | 'broken_off'
  constructor(why: BodyRefused['why']) {
    super(why)
    this.why = why
  }
}

/** The largest body that Svix sends. */
const MAX_BODY_BYTES = 1024 * 1024
/** A body must be complete within this time. Svix itself waits 15 s for the answer. */
const BODY_TIMEOUT_MS = 10_000
/** Maximum bytes of all bodies that are arriving or being recorded. */
const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024

/**
 * Bytes of a body beyond these share three quarters of the room. The rest is for the first bytes of each body, so that
 * large bodies that stall cannot block ordinary deliveries, which are smaller than this.
 */
const ORDINARY_BYTES = 16 * 1024
/** Refuse bodies in more chunks than a network produces: 1 MiB is about 750 packets. */
const MAX_CHUNKS = 4096

export type BodyReader = {
  /** Bytes of all bodies that are arriving or in use. */
  readonly inFlight: number
  /** Throws BodyRefused when the declared length is too large. */
  checkLength(request: IncomingMessage): void
  /** Reads a whole body and passes it to `use`; it counts as in flight until `use` has settled. @throws BodyRefused */
  read<T>(request: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T>
}

/**
 * Reads raw bodies of any content type, within limits. `express.raw` would inflate them, skip those without a content
 * type, and read refused bodies to their end.
 */
export function createBodyReader(options: { timeout?: number; inFlight?: number; maxBytes?: number } = {}): BodyReader {
  const maxBytes = options.maxBytes ?? MAX_BODY_BYTES
  const timeout = options.timeout ?? BODY_TIMEOUT_MS
  const limit = options.inFlight ?? MAX_IN_FLIGHT_BYTES
  const largeLimit = limit * 0.75
  let inFlight = 0
  let large = 0

  async function read<T>(request: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T> {
    let held = 0
    const hold = (size: number) => {
      const more = size - held
      const moreLarge = Math.max(size - ORDINARY_BYTES, 0) - Math.max(held - ORDINARY_BYTES, 0)
      const isTooMuch = inFlight + more > limit || (moreLarge > 0 && large + moreLarge > largeLimit)
      if (isTooMuch) throw new BodyRefused('too_much_in_flight')
      inFlight += more
      large += moreLarge
      held = size
    }
    try {
      return await use(await collect(request, hold, { timeout, maxBytes }))
    } finally {
      inFlight -= held
      large -= Math.max(held - ORDINARY_BYTES, 0)
    }
  }

  return {
    get inFlight() {
      return inFlight
    },
    checkLength(request) {
      if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw new BodyRefused('too_large')
    },
    read,
  }
}

/**
 * Collects a body in one growing buffer: a list of chunks would cost hundreds of bytes each, and a sender may make each
 * chunk a single byte. `hold` is called with the buffer's new size before it grows; it throws when there is no room.
 */
function collect(
  request: IncomingMessage,
  hold: (size: number) => void,
  { timeout, maxBytes }: { readonly timeout: number; readonly maxBytes: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let body = Buffer.alloc(0)
    let bytes = 0
    let chunks = 0
    const timer = setTimeout(() => refuse('timeout'), timeout)

    function onData(chunk: Buffer): void {
      if (bytes + chunk.length > maxBytes || ++chunks > MAX_CHUNKS) return refuse('too_large')
      try {
        append(chunk)
      } catch (error) {
        end(() => reject(error))
      }
    }
    function append(chunk: Buffer): void {
      if (bytes + chunk.length > body.length) {
        const size = chunks === 1 ? chunk.length : Math.min(Math.max(body.length * 2, bytes + chunk.length), maxBytes)
        hold(size)
        const grown = Buffer.allocUnsafe(size)
        body.copy(grown, 0, 0, bytes)
        body = grown
      }
      chunk.copy(body, bytes)
      bytes += chunk.length
    }
    function onEnd(): void {
      end(() => resolve(body.subarray(0, bytes)))
    }
    function onBroken(): void {
      refuse('broken_off')
    }
    function refuse(why: BodyRefused['why']): void {
      end(() => reject(new BodyRefused(why)))
    }
    function end(settle: () => void): void {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken)
      // A client that disconnects after its body was read must not crash the process.
      request.on('error', () => {})
      settle()
    }
    // No event reports a client that disconnected while other code held the request.
    if (request.destroyed) return refuse('broken_off')
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken)
  })
}
