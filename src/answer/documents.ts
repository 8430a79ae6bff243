import { NotAnswerable } from './errors.ts'

/** The files of a saved result that belong to its answer. */
export type SavedFiles = {
  /** The kind of job, from its record. */
  readonly type: string | null
  /** The answer itself. */
  readonly job: { readonly path: string; readonly bytes: number }
  /** The file saved for each link. */
  files(): AsyncIterable<SavedEntry>
  /** Reads a file. Throws when it has more than `most` bytes, before reading it if its size is known. */
  read(path: string, most: number): Promise<Buffer>
  /** Ends all reading when it aborts. */
  readonly signal: AbortSignal
  /** Reads JSON; `JSON.parse` by default. */
  readonly parse?: (text: string) => unknown
}

type SavedEntry = { readonly in: string; readonly pointer: string } & (
  | { readonly path: string; readonly bytes: number }
  | { readonly error: string }
)

/** A value and its position in a document. */
export type AnswerNode = {
  readonly value: unknown
  readonly document: string
  /** JSON Pointer within the document. */
  readonly pointer: string
  /** The documents whose links led to this one. */
  readonly through: readonly string[]
}

/**
 * Maximum bytes that an accessor may read into memory in total. As text and values together they take about five times
 * as much, which is still less than Node's default heap on a machine with 2 GB.
 */
const MAX_IN_MEMORY_BYTES = 128 * 1024 * 1024
/** Each document counts for at least this many bytes, which also bounds the number of documents. */
const MIN_DOCUMENT_BYTES = 4 * 1024
/** Maximum chain of links from document to document. The table of kinds allows seven. */
export const MAX_LINK_DEPTH = 8

/** The documents of an answer, each read once. */
export type Documents = {
  /** The answer itself. */
  root(): Promise<AnswerNode>
  child(node: AnswerNode, ...names: readonly (string | number)[]): AnswerNode
  /** Returns what was saved for the link at this node; null when the node is not a saved link. Throws NotAnswerable. */
  follow(node: AnswerNode): Promise<AnswerNode | null>
  /** The same, and also null when the saved file is not JSON. */
  followJson(node: AnswerNode): Promise<AnswerNode | null>
}

/** Opens documents for one accessor. @throws NotAnswerable when they are too large for memory. */
export async function openDocuments(saved: SavedFiles): Promise<Documents> {
  const links = await linksOf(saved)
  const parsed = new Map<string, Promise<unknown>>()
  let bytes = 0

  async function load(path: string, size: number): Promise<unknown> {
    bytes += Math.max(size, MIN_DOCUMENT_BYTES)
    if (bytes > MAX_IN_MEMORY_BYTES) throw tooLarge(bytes)
    saved.signal.throwIfAborted()
    const buffer = await saved.read(path, MAX_IN_MEMORY_BYTES)
    saved.signal.throwIfAborted()
    return parseDocument(path, buffer, saved.parse ?? JSON.parse)
  }

  function loaded(path: string, size: number): Promise<unknown> {
    const known = parsed.get(path) ?? load(path, size)
    parsed.set(path, known)
    return known
  }

  async function follow({ value, document, pointer, through }: AnswerNode): Promise<AnswerNode | null> {
    const target = isLinkValue(value) ? links.get(`${document}#${pointer}/url`) : undefined
    if (!target) return null
    if (target.path === document || through.includes(target.path))
      throw new NotAnswerable(`the links of the result lead in a circle: ${target.path} leads to itself`)
    if (through.length >= MAX_LINK_DEPTH)
      throw new NotAnswerable(`the result is behind more than ${MAX_LINK_DEPTH} links, one leading to the next`)
    const found = await loaded(target.path, target.bytes)
    return { value: found, document: target.path, pointer: '', through: [...through, document] }
  }

  return {
    async root() {
      const { path, bytes: size } = saved.job
      return { value: await loaded(path, size), document: path, pointer: '', through: [] }
    },
    child(node, ...names) {
      let { value, pointer } = node
      for (const name of names) {
        value = own(value, name)
        pointer += `/${name}`
      }
      return { ...node, value, pointer }
    },
    follow,
    async followJson(node) {
      try {
        return await follow(node)
      } catch (error) {
        if (error instanceof NotJsonDocument) return null
        throw error
      }
    },
  }
}

/** Maps the document and pointer of a link to a result to the saved file. Side files are not parts of the answer. */
async function linksOf({ files, signal }: SavedFiles): Promise<ReadonlyMap<string, { path: string; bytes: number }>> {
  const links = new Map<string, { path: string; bytes: number }>()
  for await (const entry of files()) {
    signal.throwIfAborted()
    if ('path' in entry && entry.pointer.endsWith('/url'))
      links.set(`${entry.in}#${entry.pointer}`, { path: entry.path, bytes: entry.bytes })
  }
  return links
}

class NotJsonDocument extends NotAnswerable {
  override readonly name = 'NotJsonDocument'
}

/** Removes a byte order mark, which some writers put before JSON. */
function parseDocument(path: string, buffer: Buffer, parse: (text: string) => unknown): unknown {
  const text = buffer.toString()
  try {
    return parse(text.startsWith('\uFEFF') ? text.slice(1) : text)
  } catch (error) {
    throw new NotJsonDocument(`${path} is not JSON (${(error as Error).message}): read it with open()`)
  }
}

export function tooLarge(bytes: number): NotAnswerable {
  return new NotAnswerable(
    `the result is too large to be read into memory (${bytes} bytes; ${MAX_IN_MEMORY_BYTES} at most): walk it with chunks(), or stream its files with open()`,
  )
}

export function own(value: unknown, name: string | number): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string | number, unknown>)[name]
    : undefined
}

function isLinkValue(value: unknown): boolean {
  return own(value, 'type') === 'url' && typeof own(value, 'url') === 'string'
}
