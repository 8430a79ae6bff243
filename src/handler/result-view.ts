import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { stringifyExact } from '../exact-json.ts'
import type { FileEntry, JobRecord } from '../results/record.ts'
import type { Results } from '../results/results.ts'
import { type Answer, noSuchPart, openAnswer } from './answer.ts'
import { citationsOf, extractedOf } from './extracted.ts'
import {
  type Chunk,
  type CompletedResult,
  type FailedResult,
  type JobGetResponse,
  Permanent,
  type Result,
  type Schema,
} from './handler.ts'
import { splitsOf } from './splits.ts'
import type { Walk } from './walk-thread.ts'

export type ViewDeps = { readonly results: Pick<Results, 'open'>; readonly walk: Walk }

/** A saved result as its handler sees it. Nothing is read before it is asked for. */
export function viewResult(saved: JobRecord, deps: ViewDeps): Result {
  // Numbers of the metadata as numbers: in the record they are kept as they were written.
  const record = JSON.parse(stringifyExact(saved)) as JobRecord
  const jobId = record.job_id
  let opened: Promise<Answer> | null = null

  async function open(path: string): Promise<Readable> {
    const file = await deps.results.open(jobId, path)
    if (file === null) throw new Error(`${jobId} has no saved file ${path}`)
    return file.body
  }

  async function read(path: string): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(await open(path)))
  }

  async function* files(): AsyncIterable<FileEntry> {
    const input = await open(record.files.path)
    try {
      for await (const line of createInterface({ input })) yield JSON.parse(line) as FileEntry
    } finally {
      // The line reader leaves it open when nobody wants the rest.
      input.destroy()
    }
  }

  /** Read once, however many accessors are used. */
  function answer(): Promise<Answer> {
    opened ??= openAnswer(record, { read, files })
    return opened
  }

  async function extracted(): Promise<unknown>
  async function extracted<T>(schema: Schema<T>): Promise<T>
  async function extracted(schema?: Schema<unknown>): Promise<unknown> {
    const value = await extractedOf(await answer())
    if (!schema) return value
    const check = async (given: unknown) => (schema.parseAsync ? schema.parseAsync(given) : schema.parse(given))
    try {
      return await check(value)
    } catch (error) {
      // One set of fields may be what a schema of several expects.
      if (!Array.isArray(value)) {
        const several = await check([value]).then(
          (checked) => ({ checked }),
          () => null,
        )
        if (several) return several.checked
      }
      throw new Permanent(`the extracted fields do not fit the schema: ${explain(error)}`, { cause: error })
    }
  }

  /** Chunks in the order of the document; where a link stands for them, those of the saved result. */
  async function* chunksOf(path: string, links: ReadonlyMap<string, string>): AsyncIterable<Chunk> {
    const walk = deps.walk.read(await open(path), null)
    try {
      for (let step = await walk.next(); ; step = await walk.next()) {
        for (const { pointer, value } of step.value) {
          if (!pointer.endsWith('/url')) yield value as Chunk
          else {
            const saved = links.get(`${path}#${pointer}`)
            if (saved !== undefined) yield* chunksOf(saved, links)
          }
        }
        if (step.done) return
      }
    } finally {
      await walk.return([])
    }
  }

  async function* chunks(): AsyncIterable<Chunk> {
    if (WITHOUT_CHUNKS.has(record.type)) throw noSuchPart(record, 'chunks')
    const links = new Map<string, string>()
    for await (const entry of files())
      if ('path' in entry && entry.pointer.endsWith('/url')) links.set(`${entry.in}#${entry.pointer}`, entry.path)
    yield* chunksOf(record.job.path, links)
  }

  const basics = { record, rawJob: () => read(record.job.path), files, open }
  if (record.status !== 'Completed')
    return { ...basics, status: record.status as FailedResult['status'], reason: record.reason }
  return {
    ...basics,
    status: 'Completed',
    job: async () => (await (await answer()).whole()) as JobGetResponse,
    extracted,
    chunks,
    citations: async () => citationsOf(await answer()),
    splits: async () => splitsOf(await answer()),
  } satisfies CompletedResult
}

/** Kinds that no parse is part of. One that is not known yet is looked through. */
const WITHOUT_CHUNKS: ReadonlySet<string | null> = new Set(['Extract', 'Split', 'Edit', 'Classify'])

/** zod's errors list what is wrong; others have a message. */
function explain(error: unknown): string {
  const { issues, message } = error as {
    issues?: { path?: readonly PropertyKey[]; message: string }[]
    message?: string
  }
  if (!Array.isArray(issues)) return message ?? String(error)
  return issues.map((issue) => `${issue.path?.map(String).join('.') || 'the whole'}: ${issue.message}`).join('; ')
}
