/**
 * Writes the chunks of each parsed document as JSON lines, for a search index or a vector store: one file a job, in
 * CHUNKS_FOLDER (./data/chunks). One chunk is in memory at a time, however large the document.
 *
 *   HANDLER=./handlers/examples/chunks-to-jsonl.ts npm start
 */
import { createWriteStream } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { CompletedResult, Handler } from 'reducto-webhook-receiver'

const folder = process.env.CHUNKS_FOLDER ?? './data/chunks'

const handle: Handler = async (result, { attempt, signal, log }) => {
  const { job_id, type } = result.record
  if (result.status !== 'Completed') return log.warn(`nothing to index: ${result.reason}`)
  if (type !== 'Parse' && type !== 'Pipeline') return
  const target = join(folder, `${job_id}.jsonl`)
  // Written aside and moved into place: whoever reads the folder never sees half a document.
  const partial = `${target}.${attempt}.partial`
  await mkdir(folder, { recursive: true })
  await pipeline(Readable.from(lines(result)), createWriteStream(partial, { flush: true }), { signal })
  await rename(partial, target)
  log.info({ file: target }, 'chunks written')
}

async function* lines(result: CompletedResult): AsyncIterable<string> {
  const { job_id, metadata } = result.record
  let index = 0
  for await (const chunk of result.chunks()) {
    const pages = [...new Set(chunk.blocks.map((block) => block.bbox.page))]
    yield `${JSON.stringify({ id: `${job_id}/${index++}`, text: chunk.embed, pages, metadata })}\n`
  }
}

export default handle
