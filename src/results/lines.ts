import type { Readable } from 'node:stream'

/** A line names one file and the place of its link. Longer ones are not of this service. Characters. */
const MAX_LINE = 1024 * 1024
/** So much of a list is read: two million lines. Bytes. */
const MAX_LIST_BYTES = 256 * 1024 * 1024

/**
 * The lines of a saved `files.jsonl`. Ends with the stream, and destroys it. Not `node:readline`: it splits at U+2028 too,
 * which may stand in a name, ends quietly when its input fails, and takes a line of any length.
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
    if (rest.length > MAX_LINE) throw new Error('a line of the list of files is too long')
    yield* lines
  }
  if (rest !== '') yield rest
}
