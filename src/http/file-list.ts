import type { Readable } from 'node:stream'
import { isSavedPath } from '../handler/links.ts'
import { linesOf } from '../results/lines.ts'
import type { FileEntry } from '../results/record.ts'

/** Whether the list `files.jsonl` has an entry for the saved file at `path`. Ends with the stream, and destroys it. */
export async function lists(body: Readable, path: string): Promise<boolean> {
  // Most lines are about other files: only lines that mention this path are parsed.
  const mention = JSON.stringify(path)
  for await (const line of linesOf(body)) if (line.includes(mention) && pathOf(line) === path) return true
  return false
}

/** The lines of the list, with a `url` added where a file was saved. Destroys the stream at the end. */
export async function* linked(body: Readable, urlOf: (path: string) => Promise<string>): AsyncIterable<string> {
  for await (const line of linesOf(body)) {
    const path = pathOf(line)
    yield path === null
      ? `${line}\n`
      : `${JSON.stringify({ ...(JSON.parse(line) as FileEntry), url: await urlOf(path) })}\n`
  }
}

/** The path of the file that a line names; null for files that could not be downloaded. */
function pathOf(line: string): string | null {
  try {
    const { path } = JSON.parse(line) as { readonly path?: unknown }
    return typeof path === 'string' && isSavedPath(path) ? path : null
  } catch {
    return null
  }
}
