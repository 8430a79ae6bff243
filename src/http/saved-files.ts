import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Request, RequestHandler, Response } from 'express'
import type { Links } from '../handler/links.ts'
import { FILES, type FileEntry } from '../results/record.ts'
import type { OpenFile, Results } from '../results/results.ts'
import { json, send } from './replies.ts'

export type SavedFilesDeps = {
  readonly results: Pick<Results, 'open' | 'link'>
  readonly links: Links
  readonly now: () => number
}

const FORBIDDEN = json(403, { error: 'link_not_valid', reason: 'the link is not complete, or older than 7 days' })
const NOT_FOUND = json(404, { error: 'not_found', reason: 'the file is not saved any more' })

/** Documents come from anywhere: a saved page or picture must never run as one of ours. */
const INERT = {
  'content-disposition': 'attachment',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "sandbox; default-src 'none'",
  'cache-control': 'private, no-store',
} as const

/** `GET /results/JOB/PATH`: a saved file, for whoever has its link. */
export function savedFiles({ results, links, now }: SavedFilesDeps): RequestHandler {
  /** Each line with a link of its own: whoever forwards a record cannot know the paths beforehand. */
  async function* linked(jobId: string, file: OpenFile): AsyncIterable<string> {
    try {
      yield* linkedLines(jobId, file)
    } finally {
      // The line reader leaves it open when the client hangs up.
      file.body.destroy()
    }
  }

  async function* linkedLines(jobId: string, file: OpenFile): AsyncIterable<string> {
    for await (const line of createInterface({ input: file.body })) {
      const entry = JSON.parse(line) as FileEntry
      const url =
        'path' in entry
          ? ((await results.link(jobId, entry.path, now())) ?? links.to(jobId, entry.path, now()))
          : undefined
      yield `${JSON.stringify(url === undefined ? entry : { ...entry, url })}\n`
    }
  }

  return async (request: Request, response: Response) => {
    const jobId = String(request.params.job)
    const path = ([request.params.file].flat() as string[]).join('/')
    const { expires = '', signature = '' } = request.query
    const link = { jobId, path, expires: String(expires), signature: String(signature) }
    if (!links.isGood(link, now())) return send(response, FORBIDDEN)
    const file = await results.open(jobId, path)
    if (file === null) return send(response, NOT_FOUND)
    const isList = path.endsWith(FILES)
    response.writeHead(200, {
      ...INERT,
      'content-type': isList
        ? 'application/jsonl'
        : path.endsWith('.json')
          ? 'application/json'
          : 'application/octet-stream',
      ...(isList ? {} : { 'content-length': file.bytes }),
    })
    if (request.method === 'HEAD') {
      file.body.destroy()
      return void response.end()
    }
    // Whoever hangs up, or a disk that fails half-way, breaks the answer off: its length tells.
    await pipeline(isList ? Readable.from(linked(jobId, file)) : file.body, response).catch(() => response.destroy())
  }
}
