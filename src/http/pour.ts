import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** In every `period` (ms) a reader must consume `minBytes`, and a store that is waited for must yield something. */
export type Pace = { readonly period: number; readonly minBytes: number }

/** 16 KiB/s, measured over a minute: a slower reader would hold a connection and an open file for hours. */
export const PACE: Pace = { period: 60_000, minBytes: 60 * 16 * 1024 }

/**
 * Sends a body at its reader's pace. When the client disconnects or is too slow, or the store fails or hangs, the
 * connection is destroyed; the client sees that bytes are missing. Never throws. The opener closes the source.
 */
export async function pour(
  source: Readable | AsyncIterable<string>,
  response: ServerResponse,
  pace: Pace,
): Promise<void> {
  let read = 0
  let takenBefore = 0

  async function* counted(chunks: AsyncIterable<Buffer | string>): AsyncIterable<Buffer | string> {
    for await (const chunk of chunks) {
      read += Buffer.byteLength(chunk)
      yield chunk
    }
  }

  const timer = setInterval(() => {
    const waiting = response.writableLength
    const taken = read - waiting
    // If nothing is waiting to be sent, the store is slow.
    if (taken - takenBefore < (waiting > 0 ? pace.minBytes : 1)) response.destroy()
    takenBefore = taken
  }, pace.period)
  timer.unref()

  try {
    await pipeline(source, counted, response)
  } catch {
    response.destroy()
  } finally {
    clearInterval(timer)
  }
}
