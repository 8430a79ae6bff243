import type { IncomingMessage } from 'node:http'

/** Why a body was not taken. */
export class BodyRefused extends Error {
  readonly why: 'too_large' | 'timeout' | 'too_much_in_flight' | 'broken_off'
  constructor(why: BodyRefused['why']) {
    super(why)
    this.why = why
  }
}

/** Svix sends at most 1 MiB. */
export const LARGEST_BODY = 1024 * 1024
/** A body must be complete within this, ms. Svix itself waits 15 s for the answer. */
export const BODY_TIMEOUT = 10_000
/** Of all bodies that are arriving or being recorded. */
export const IN_FLIGHT = 64 * 1024 * 1024

/** The first bytes of every body are free of that bound: large ones that stall keep no ordinary ones out. */
const FREE = 16 * 1024
/** A body in more pieces is no honest one: a network's packets make about 750 of the largest. */
const MOST_PIECES = 4096

export type BodyReader = {
  /** Throws BodyRefused when the declared length is too large. */
  checkLength(request: IncomingMessage): void
  /** Reads a body whole and hands it to `use`; it counts as in flight until that is over. @throws BodyRefused */
  read<T>(request: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T>
}

/**
 * Reads raw bodies whatever their content type, within limits. `express.raw` would inflate them, skip those without a
 * content type, and read to its end what it refuses.
 */
export function createBodyReader(options: { timeout?: number; inFlight?: number } = {}): BodyReader {
  const timeout = options.timeout ?? BODY_TIMEOUT
  const limit = options.inFlight ?? IN_FLIGHT
  let inFlight = 0

  async function read<T>(request: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T> {
    let held = 0
    const hold = (bytes: number) => {
      if (inFlight + bytes > limit) throw new BodyRefused('too_much_in_flight')
      inFlight += bytes
      held += bytes
    }
    try {
      return await use(await collect(request, hold, timeout))
    } finally {
      inFlight -= held
    }
  }

  return {
    checkLength(request) {
      if (Number(request.headers['content-length'] ?? 0) > LARGEST_BODY) throw new BodyRefused('too_large')
    },
    read,
  }
}

/**
 * Collects a body in one buffer that grows: a list of pieces would cost hundreds of bytes for each, and a sender may make
 * each piece a single byte. `hold` is told of every growth beyond what is free.
 */
function collect(request: IncomingMessage, hold: (bytes: number) => void, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let body = Buffer.alloc(0)
    let bytes = 0
    let pieces = 0
    const timer = setTimeout(() => refuse('timeout'), timeout)

    function onData(chunk: Buffer): void {
      if (bytes + chunk.length > LARGEST_BODY || ++pieces > MOST_PIECES) return refuse('too_large')
      try {
        append(chunk)
      } catch (error) {
        end(() => reject(error))
      }
    }
    function append(chunk: Buffer): void {
      if (bytes + chunk.length > body.length) {
        const size =
          pieces === 1 ? chunk.length : Math.min(Math.max(body.length * 2, bytes + chunk.length), LARGEST_BODY)
        hold(Math.max(size - FREE, 0) - Math.max(body.length - FREE, 0))
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
      // A client that hangs up after its body was taken must not crash the process.
      request.on('error', () => {})
      settle()
    }
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken)
  })
}
