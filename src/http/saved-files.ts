import type { Readable } from 'node:stream'
import type { Request, RequestHandler, Response } from 'express'
import { isSavedPath, type Links } from '../handler/links.ts'
import { isJobId } from '../job.ts'
import { FILES, type JobRecord } from '../results/record.ts'
import { type OpenFile, type Results, ResultsUnavailable } from '../results/results.ts'
import { linked, lists } from './file-list.ts'
import { PACE, type Pace, pour } from './pour.ts'
import { json, send } from './replies.ts'

export type SavedFilesDeps = {
  readonly results: Pick<Results, 'record' | 'open' | 'link'>
  /** Null until there is a key to check links with. */
  readonly links: () => Links | null
  readonly now: () => number
  /** The minimum rate of a reader. */
  readonly pace?: Pace
}

const FORBIDDEN = json(403, { error: 'link_not_valid', reason: 'the link is not complete, or older than 7 days' })
const NOT_FOUND = json(404, { error: 'not_found', reason: 'the file is no longer saved' })
/** A path that no link of ours has ever had. */
const NO_SUCH_LINK = json(404, { error: 'not_found' })
const UNAVAILABLE = json(503, { error: 'unavailable' }, { 'retry-after': '10' })

/** Documents come from anywhere: a saved page or picture must never run as one of ours. */
const DOWNLOAD_HEADERS = {
  'content-disposition': 'attachment',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "sandbox; default-src 'none'",
  'cache-control': 'private, no-store',
} as const

/** `GET /results/JOB/PATH`: a file that the record of a saved result names, for any holder of its link. */
export function savedFiles(deps: SavedFilesDeps): RequestHandler {
  const { results, links, now, pace = PACE } = deps

  async function serve(request: Request, response: Response): Promise<void> {
    const link = linkOf(request)
    if (link === null) return send(response, NO_SUCH_LINK)
    const signed = links()
    if (signed === null) return send(response, UNAVAILABLE)
    if (!signed.isGood(link, now())) return send(response, FORBIDDEN)

    const urlOf = async (saved: string) =>
      (await results.link(link.jobId, saved, now())) ?? signed.to(link.jobId, saved, now())
    await serveSaved({ results, pace, urlOf }, link, request, response)
  }

  return async (request, response) => {
    try {
      await serve(request, response)
    } catch (error) {
      // Nothing is reported about a client that has disconnected.
      if (response.destroyed) return
      if (!(error instanceof ResultsUnavailable)) throw error
      send(response, UNAVAILABLE)
    }
  }
}

type ServeDeps = {
  readonly results: Pick<Results, 'record' | 'open'>
  readonly pace?: Pace
  /** The link that the list of files has beside each; without it the list is as it was saved. */
  readonly urlOf?: (path: string) => Promise<string>
}

/** Sends a file that the record of a saved result names, so that nothing runs it. @throws ResultsUnavailable */
export async function serveSaved(
  { results, pace = PACE, urlOf }: ServeDeps,
  { jobId, path: wanted }: { readonly jobId: string; readonly path: string },
  request: Request,
  response: Response,
): Promise<void> {
  const signal = endOf(response)
  const open = async (saved: string) => {
    const file = await results.open(jobId, saved, signal)
    if (file !== null) closeWith(response, file.body)
    return file
  }
  const record = await results.record(jobId, signal)
  if (record?.job_id !== jobId) return send(response, NOT_FOUND)
  // The list gets a new path when a missing file was added: a link to an old list serves the current one.
  const path = wanted.split('/').at(-1) === FILES ? record.files.path : wanted
  if (!(await names(record, path, open))) return send(response, NOT_FOUND)
  const file = await open(path)
  if (file === null) return send(response, NOT_FOUND)

  const isList = path === record.files.path
  const hasLinks = isList && urlOf !== undefined
  const length = hasLinks ? {} : { 'content-length': file.bytes }
  if (response.destroyed) return
  response.writeHead(200, { ...DOWNLOAD_HEADERS, 'content-type': contentType(path, isList), ...length })
  if (request.method === 'HEAD') return void response.end()
  await pour(hasLinks ? linked(file.body, urlOf) : file.body, response, pace)
}

export async function names(
  { job, files }: JobRecord,
  path: string,
  open: (path: string) => Promise<OpenFile | null>,
): Promise<boolean> {
  if (path === job.path || path === files.path) return true
  const list = await open(files.path)
  return list !== null && lists(list.body, path)
}

/** Aborts when the answer has ended, so that a hanging store holds nothing for a client that has disconnected. */
export function endOf(response: Response): AbortSignal {
  const end = new AbortController()
  if (response.destroyed) end.abort()
  else response.once('close', () => end.abort())
  return end.signal
}

/** Closes the file with the answer, however that ends: a stream that waits for its store does not notice. */
function closeWith(response: Response, body: Readable): void {
  if (response.destroyed) body.destroy()
  else response.once('close', () => body.destroy())
}

/** Null for anything that cannot be a link of ours, however it is encoded. */
function linkOf({ params, query }: Request) {
  const { job: jobId } = params
  const path = savedPathIn(params.file)
  const { expires = '', signature = '' } = query
  if (!isJobId(jobId) || typeof expires !== 'string' || typeof signature !== 'string') return null
  return path === null ? null : { jobId, path, expires, signature }
}

/** The path of a saved file in that of a URL, by its segments; null for anything that cannot be one. */
export function savedPathIn(file: unknown): string | null {
  const segments = [file].flat().map(String)
  // Each segment separately: an encoded slash is not a path separator.
  if (!segments.every((segment) => !segment.includes('/') && isSavedPath(segment))) return null
  const path = segments.join('/')
  return isSavedPath(path) ? path : null
}

function contentType(path: string, isList: boolean): string {
  if (isList) return 'application/jsonl'
  return path.endsWith('.json') ? 'application/json' : 'application/octet-stream'
}
