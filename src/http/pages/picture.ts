import type { Readable } from 'node:stream'
import { isJobId } from '../../job.ts'
import { json, NOT_FOUND, send } from '../replies.ts'
import { names } from '../saved-files.ts'
import type { Handle } from './visit.ts'

/** A larger picture is downloaded like any other file, bytes. */
const MAX_PICTURE_BYTES = 2 * 1024 * 1024

/** The kinds of pictures that a browser shows and that hold no script, by how their bytes begin. Never SVG. */
const KINDS: readonly (readonly [type: string, isIt: (bytes: Buffer) => boolean])[] = [
  ['image/png', (bytes) => bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))],
  ['image/jpeg', (bytes) => bytes.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex'))],
  ['image/gif', (bytes) => /^GIF8[79]a/.test(bytes.toString('latin1', 0, 6))],
  ['image/webp', (bytes) => /^RIFF[\s\S]{4}WEBP/.test(bytes.toString('latin1', 0, 12))],
]

const NO_PICTURE = json(404, { error: 'not_found', reason: 'this file is not shown here: download it' })

/** A saved picture, for the page of its job. Whatever it was said to be, its bytes decide. */
export const pictureRoute: Handle = async ({ request, response, opened, page, end }) => {
  const [id, path] = [String(request.params.id), [request.params.file].flat().join('/')]
  if (!isJobId(id) || page.hidesContent) return send(response, NOT_FOUND)
  const open = (file: string) => opened.results.open(id, file, end)
  const record = await opened.results.record(id, end)
  if (record === null || !(await names(record, path, open))) return send(response, NOT_FOUND)
  const file = await open(path)
  if (file === null) return send(response, NOT_FOUND)
  const bytes = file.bytes <= MAX_PICTURE_BYTES ? await wholeOf(file.body) : null
  file.body.destroy()
  const type = bytes && KINDS.find(([, isIt]) => isIt(bytes))?.[0]
  if (!type) return send(response, NO_PICTURE)
  response.setHeader('cache-control', 'private, no-store')
  response.setHeader('content-type', type)
  response.setHeader('content-security-policy', "sandbox; default-src 'none'")
  response.setHeader('x-content-type-options', 'nosniff')
  response.end(bytes)
}

/** Null when there is more than the store said. */
async function wholeOf(body: Readable): Promise<Buffer | null> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of body as AsyncIterable<Buffer>) {
    size += piece.length
    if (size > MAX_PICTURE_BYTES) return null
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
