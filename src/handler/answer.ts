import type { FileEntry, JobRecord } from '../results/record.ts'
import { Permanent } from './handler.ts'

/** A value of a saved document, and where it stands: what stands for it can lie in another document. */
export type Node = {
  readonly value: unknown
  readonly document: string
  readonly pointer: string
  /** The whole response that was found where only its result was expected. */
  readonly response?: Node
}

/** Reducto's answer, with the links to results in it that were saved. */
export type Answer = {
  readonly record: JobRecord
  /** The response, `result` of the answer, from wherever it was saved. */
  response(): Promise<Node>
  /** A member of a node's value, from wherever it was saved: undefined when there is none. */
  member(node: Node, ...names: readonly (string | number)[]): Promise<Node>
  /** The answer with every saved result back in its place. */
  whole(): Promise<unknown>
}

/** More than this does not fit into one of V8's strings (2^29 - 24 characters). */
const LARGEST_STRING = 2 ** 29 - 24

export type AnswerFiles = {
  readonly read: (path: string) => Promise<Buffer>
  readonly files: () => AsyncIterable<FileEntry>
}

/** Opens the answer of a record. Documents are read when something in them is asked for, once. */
export async function openAnswer(record: JobRecord, { read, files }: AnswerFiles): Promise<Answer> {
  /** Document and pointer of a link → where its content is. Side files are not parts of the answer. */
  const saved = new Map<string, string>()
  for await (const entry of files())
    if ('path' in entry && entry.pointer.endsWith('/url')) saved.set(`${entry.in}#${entry.pointer}`, entry.path)
  const documents = new Map<string, Promise<unknown>>()

  function load(path: string): Promise<unknown> {
    const known = documents.get(path)
    if (known) return known
    const loading = read(path).then(parse)
    documents.set(path, loading)
    return loading
  }

  /** What a `{type: "url", url}` stands for. */
  async function followed(node: Node): Promise<Node> {
    if (!isLink(node.value)) return node
    const path = saved.get(`${node.document}#${node.pointer}/url`)
    if (path === undefined) return node
    return unwrapped(node, { value: await load(path), document: path, pointer: '' })
  }

  /**
   * A link to a response's `result` can lead to that result, or to a whole response. And a parse's result can be its bare
   * array of chunks.
   */
  async function unwrapped(link: Node, target: Node): Promise<Node> {
    const isWholeResponse = link.document === record.job.path && link.pointer === '/result'
    if (isWholeResponse || !link.pointer.endsWith('/result')) return followed(target)
    if (isResponse(target.value)) return { ...(await member(target, 'result')), response: target }
    if (Array.isArray(target.value) && isParse(link))
      return { ...target, value: { type: 'full', chunks: target.value } }
    return followed(target)
  }

  function isParse({ pointer }: Node): boolean {
    return record.type === 'Parse' || /\/parse(?:\/\d+)?\/result$/.test(pointer)
  }

  async function member(node: Node, ...names: readonly (string | number)[]): Promise<Node> {
    let at = node
    for (const name of names) {
      const value = (at.value as Record<string | number, unknown> | null | undefined)?.[name]
      at = await followed({ value, document: at.document, pointer: `${at.pointer}/${name}` })
    }
    return at
  }

  const root = async (): Promise<Node> => ({
    value: await load(record.job.path),
    document: record.job.path,
    pointer: '',
  })

  /** Replaces links in place, in a copy that is nobody else's: those of a document, then those of what they led to. */
  async function whole(): Promise<unknown> {
    const answer = parse(await read(record.job.path))
    const top: Node = { value: answer, document: record.job.path, pointer: '' }
    await fill(top)
    return answer
  }

  async function fill(top: Node): Promise<void> {
    const prefix = `${top.document}#`
    for (const key of saved.keys()) {
      if (!key.startsWith(prefix)) continue
      const steps = key.slice(prefix.length).split('/').slice(1, -1)
      const last = steps.pop()
      if (last === undefined) continue
      let holder = top.value as Record<string, unknown>
      for (const step of steps) holder = holder[step] as Record<string, unknown>
      const at: Node = { value: holder[last], document: top.document, pointer: ['', ...steps, last].join('/') }
      const path = saved.get(key)!
      const target: Node = { value: parse(await read(path)), document: path, pointer: '' }
      await fill(target)
      holder[last] = (await unwrapped(at, target)).value
    }
  }

  return { record, response: async () => member(await root(), 'result'), member, whole }
}

function parse(bytes: Buffer): unknown {
  if (bytes.length > LARGEST_STRING)
    throw new Permanent(`the result is too large to be taken whole (${bytes.length} bytes): walk it with chunks()`)
  return JSON.parse(bytes.toString())
}

function isLink(value: unknown): boolean {
  const link = value as { type?: unknown; url?: unknown } | null | undefined
  return typeof link === 'object' && link !== null && link.type === 'url' && typeof link.url === 'string'
}

/** A whole response rather than its result: it says what it cost. */
function isResponse(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'result' in value && 'usage' in value
}

/** An accessor was used on a job of another kind. */
export function noSuchPart(record: JobRecord, part: string): Permanent {
  return new Permanent(`this job is of type ${record.type ?? 'unknown'}: it has no ${part}`)
}
