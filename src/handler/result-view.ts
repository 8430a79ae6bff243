import { addAbortSignal, type Readable } from 'node:stream'
import { MAX_LINKS } from '../answer/bounds.ts'
import { type Documents, MAX_LINK_DEPTH, openDocuments, type SavedFiles, tooLarge } from '../answer/documents.ts'
import { DocumentTooComplex, NotAnswerable, NotJson } from '../answer/errors.ts'
import { citationsOf, extractedOf } from '../answer/extracted.ts'
import { mayHaveChunks } from '../answer/kinds.ts'
import { noSuchPart } from '../answer/parts.ts'
import { splitsOf } from '../answer/splits.ts'
import type { Walk } from '../answer/walk-thread.ts'
import { wholeAnswer } from '../answer/whole.ts'
import { linesOf } from '../results/lines.ts'
import { type FileEntry, type JobRecord, plainRecord } from '../results/record.ts'
import type { Results } from '../results/results.ts'
import {
  type Chunk,
  type CompletedResult,
  type FailedResult,
  type JobGetResponse,
  Permanent,
  type Result,
  type Schema,
} from './handler.ts'
import { fitted } from './schema.ts'

export type ViewDeps = {
  readonly results: Pick<Results, 'open'>
  readonly walk: Walk
  /** Reads JSON; `JSON.parse` by default, whose numbers lose digits. */
  readonly parse?: (text: string) => unknown
}

/**
 * A saved result as its handler sees it. Everything is read on demand; when `signal` aborts, all reading ends with an
 * error.
 */
export function viewResult(saved: JobRecord, deps: ViewDeps, signal: AbortSignal): Result {
  // The metadata's numbers as JavaScript numbers: the record keeps them as they were written.
  const record = plainRecord(saved)
  const jobId = record.job_id
  const { type, job } = record
  const parse = deps.parse === undefined ? {} : { parse: deps.parse }
  const answerFiles: SavedFiles = { type, job, files, read, signal, ...parse }
  let opened: Promise<Documents> | null = null

  async function openSized(path: string): Promise<{ body: Readable; bytes: number }> {
    signal.throwIfAborted()
    const file = await deps.results.open(jobId, path)
    if (file === null) throw new Error(`${jobId} has no saved file ${path}`)
    // Ends with the signal, even if it has already aborted. The stream removes its listener when it ends. A reader gets
    // the error; without a reader it must not exit the process.
    file.body.on('error', () => {})
    addAbortSignal(signal, file.body)
    return file
  }

  async function open(path: string): Promise<Readable> {
    return (await openSized(path)).body
  }

  async function read(path: string, most: number): Promise<Buffer> {
    const { body, bytes } = await openSized(path)
    if (bytes > most) {
      body.destroy()
      throw tooLarge(bytes)
    }
    const pieces: Buffer[] = []
    let left = most
    for await (const piece of body) {
      left -= piece.length
      // The file is larger than the store said.
      if (left < 0) throw tooLarge(most - left)
      pieces.push(piece)
    }
    return Buffer.concat(pieces)
  }

  async function* files(): AsyncGenerator<FileEntry, void, void> {
    const input = await open(record.files.path)
    for await (const line of linesOf(input)) yield JSON.parse(line) as FileEntry
  }

  /** Each document is read once, however many accessors are used. */
  async function documents(): Promise<Documents> {
    const opening = opened ?? openDocuments(answerFiles)
    opened = opening
    return opening.catch((error) => {
      // The store may be available again the next time.
      opened = null
      throw error
    })
  }

  async function extracted(): Promise<unknown>
  async function extracted<T>(schema: Schema<T>): Promise<T>
  async function extracted(schema?: Schema<unknown>): Promise<unknown> {
    const value = await permanent(documents().then((open) => extractedOf(open, record.type)))
    return schema ? fitted(schema, value) : value
  }

  /** Chunks in document order; a link that replaces them is followed to the saved result. */
  let walked = 0
  async function* chunksOf(
    path: string,
    links: ReadonlyMap<string, string>,
    through: readonly string[],
  ): AsyncIterable<Chunk> {
    if (through.includes(path)) throw new Permanent(`the links of the result lead in a circle: ${path} leads to itself`)
    if (through.length > MAX_LINK_DEPTH)
      throw new Permanent(`the chunks are behind more than ${MAX_LINK_DEPTH} links, one leading to the next`)
    if (++walked > MAX_LINKS) throw new Permanent(`the chunks are in more than ${MAX_LINKS} documents`)
    const walk = deps.walk.read(await open(path))
    try {
      for await (const found of walk)
        for (const { pointer, value } of found) {
          signal.throwIfAborted()
          const target = pointer.endsWith('/url') ? links.get(`${path}#${pointer}`) : undefined
          if (!pointer.endsWith('/url')) yield value as Chunk
          else if (target !== undefined) yield* chunksOf(target, links, [...through, path])
        }
    } catch (error) {
      if (error instanceof NotJson)
        throw new Permanent(`${path} is not JSON (${error.message}): read it with open()`, { cause: error })
      if (error instanceof DocumentTooComplex) throw new Permanent(error.message, { cause: error })
      throw error
    }
  }

  async function* chunks(): AsyncIterable<Chunk> {
    if (!mayHaveChunks(record.type)) throw toPermanent(noSuchPart(record.type, 'chunks'))
    const links = new Map<string, string>()
    for await (const entry of files())
      if ('path' in entry && entry.pointer.endsWith('/url')) links.set(`${entry.in}#${entry.pointer}`, entry.path)
    walked = 0
    yield* chunksOf(record.job.path, links, [])
  }

  const rawJob = () => permanent(read(record.job.path, MAX_RAW_JOB_BYTES))
  const basics = { record, rawJob, files, open }
  if (record.status !== 'Completed')
    return { ...basics, status: record.status as FailedResult['status'], reason: record.reason }
  return {
    ...basics,
    status: 'Completed',
    job: async () => (await permanent(wholeAnswer(answerFiles))) as JobGetResponse,
    extracted,
    chunks,
    citations: () => permanent(documents().then((open) => citationsOf(open, record.type))),
    splits: () => permanent(documents().then((open) => splitsOf(open, record.type))),
  } satisfies CompletedResult
}

/** The API's answer without linked results. It is never larger when it is fetched. */
const MAX_RAW_JOB_BYTES = 64 * 1024 * 1024

/** A request that can never be answered is not worth another attempt. */
async function permanent<T>(answering: Promise<T>): Promise<T> {
  return answering.catch((error) => {
    throw error instanceof NotAnswerable ? toPermanent(error) : error
  })
}

function toPermanent(error: NotAnswerable): Permanent {
  return new Permanent(error.message, { cause: error })
}
