import { randomUUID } from 'node:crypto'
import { startReducto } from '../src/simulator/reducto.ts'

/**
 * A simulated Reducto in a process of its own. `large`: every job's result is `bytes` long, by URL. `plain`: every job is
 * small. Jobs exist when they are asked for.
 */

const [mode = 'plain', bytes = '0'] = process.argv.slice(2)

async function* chunks(): AsyncIterable<Buffer> {
  const block = {
    type: 'Text',
    content: 'Lorem ipsum dolor sit amet. '.repeat(30),
    bbox: { left: 0, top: 0, width: 1, height: 1, page: 1 },
    image_url: null,
  }
  const chunk = JSON.stringify({
    content: 'x',
    embed: 'x',
    enriched: null,
    blocks: Array.from({ length: 60 }, () => block),
  })
  const piece = Buffer.from(`,${chunk}`)
  yield Buffer.from(`[${chunk}`)
  for (let sent = piece.length; sent < Number(bytes); sent += piece.length) yield piece
  yield Buffer.from(']')
}

const reducto = await startReducto({
  onFetch(jobId) {
    if (!known.has(jobId)) add(jobId)
  },
})
const known = new Set<string>()

function add(id: string): void {
  known.add(id)
  if (mode === 'plain') return void reducto.addJob({ id, kind: 'classify' })
  reducto.addJob({
    id,
    document(storage) {
      storage.put(id, { contentType: 'application/json', body: chunks })
      return {
        type: 'Parse',
        result: {
          job_id: id,
          duration: 1,
          usage: { num_pages: 1 },
          result: { type: 'url', url: storage.link(id), result_id: randomUUID() },
        },
      }
    },
  })
}

process.send!({ url: reducto.url, apiKey: reducto.apiKey })
