import type { Readable } from 'node:stream'
import { isSavedPath } from '../handler/links.ts'
import type { FileEntry } from '../results/record.ts'

/** A line names one file and the place of its link. Longer ones are not of this service. Characters. */
const MAX_LINE = 1024 * 1024
/** So much of a list is looked through for one file: two million of them. Bytes. */
const MAX_LIST_BYTES = 256 * 1024 * 1024

/** Whether the list `files.jsonl` has an entry for the saved file at `path`. Ends with the stream, and destroys it. */
export async function lists(body: Readable, path: string): Promise<boolean> {
  // Most lines are about other files: only what mentions this one is parsed.
  const mention = JSON.stringify(path)
  for await (const line of linesOf(body)) if (line.includes(mention) && pathOf(line) === path) return true
  return false
}

/** The lines of the list, each with a `url` of its own where its file is saved. Destroys the stream at the end. */
export async function* linked(body: Readable, urlOf: (path: string) => Promise<string>): AsyncIterable<string> {
  for await (const line of linesOf(body)) {
    const path = pathOf(line)
    yield path === null
      ? `${line}\n`
      : `${JSON.stringify({ ...(JSON.parse(line) as FileEntry), url: await urlOf(path) })}\n`
  }
}

/** The path of the file that a line names; null for the lines of files that could not be downloaded. */
function pathOf(line: string): string | null {
  try {
    const { path } = JSON.parse(line) as { readonly path?: unknown }
    return typeof path === 'string' && isSavedPath(path) ? path : null
  } catch {
    return null
  }
}

/** Not `node:readline`: it splits at U+2028 too, which may stand in a name, and takes a line of any length. */
async function* linesOf(body: Readable): AsyncIterable<string> {
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
