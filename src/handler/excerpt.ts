import { TimeoutError, withTimeout } from './time-limit.ts'

/** Bytes of an answer that are read for its excerpt. */
const MAX_READ_BYTES = 4 * 1024

/**
 * The beginning of an answer's body on one line, or the part that arrived within `ms`: an answer whose body hangs is
 * still an answer. The rest is not read, and the connection is closed. Never throws.
 */
export async function excerptOf({ body }: Response, ms: number, signal: AbortSignal): Promise<string> {
  if (body === null) return ''
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  try {
    await withTimeout(ms, signal, async () => {
      let bytes = 0
      while (bytes < MAX_READ_BYTES) {
        const { done, value } = await reader.read()
        if (done) return
        bytes += value.byteLength
        chunks.push(value)
      }
    })
  } catch (error) {
    if (!(error instanceof TimeoutError) && chunks.length === 0) return ''
  } finally {
    discard(reader)
  }
  const text = Buffer.concat(chunks).subarray(0, MAX_READ_BYTES).toString()
  return text.replace(UNPRINTABLE, ' ').trim()
}

/** Cancels the rest of a body and ignores errors. */
export function discard(body: { cancel(): Promise<unknown> } | null): void {
  body?.cancel().catch(() => {})
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are removed.
const UNPRINTABLE = /(?:\x1b\[[0-9;?]{0,32}[@-~]|[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff])+/g
