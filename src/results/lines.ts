import type { Readable } from 'node:stream'

/**
 * Maximum characters of a line. A line names one file and the position of its link; this service writes no longer ones.
 */
const MAX_LINE_CHARS = 1024 * 1024
/** Maximum bytes of a list: two million lines. */
const MAX_LIST_BYTES = 256 * 1024 * 1024

/**
 * The lines of a saved `files.jsonl`. Ends with the stream, and destroys it. Does not use `node:readline`: that also
 * splits at U+2028, which a name may contain, ends silently when its input fails, and accepts lines of any length.
 */
export async function* linesOf(body: Readable): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder()
  let rest = ''
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_LIST_BYTES) throw new Error('the list of files is too large')
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()!
    if (rest.length > MAX_LINE_CHARS) throw new Error('a line of the list of files is too long')
    yield* lines
  }
  if (rest !== '') yield rest
}
