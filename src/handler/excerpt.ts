import { TimeUp, withinTime } from './time-limit.ts'

/** So much of an answer is read to tell the beginning of it. Bytes. */
const MAX_READ = 4 * 1024

/**
 * The beginning of an answer's body on one line, or what came of it within `ms`: an answer whose body hangs is an answer.
 * The rest is not read, and its connection closed. Never throws.
 */
export async function excerptOf({ body }: Response, ms: number, signal: AbortSignal): Promise<string> {
  if (body === null) return ''
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  try {
    await withinTime(ms, signal, async () => {
      let bytes = 0
      while (bytes < MAX_READ) {
        const { done, value } = await reader.read()
        if (done) return
        bytes += value.byteLength
        chunks.push(value)
      }
    })
  } catch (error) {
    if (!(error instanceof TimeUp) && chunks.length === 0) return ''
  } finally {
    discard(reader)
  }
  const text = Buffer.concat(chunks).subarray(0, MAX_READ).toString()
  return text.replace(UNPRINTABLE, ' ').trim()
}

/** Gives up the rest of a body. It is nobody's concern how that goes. */
export function discard(body: { cancel(): Promise<unknown> } | null): void {
  body?.cancel().catch(() => {})
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
const UNPRINTABLE = /(?:\x1b\[[0-9;?]{0,32}[@-~]|[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff])+/g
