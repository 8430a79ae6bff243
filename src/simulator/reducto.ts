import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Document, type Kind, makeDocument } from './documents/documents.ts'
import { createStorage, type Storage } from './storage.ts'
import { readSubmission, readUpload, type Submission, type Upload } from './submissions.ts'

/**
 * A simulated Reducto: the calls that this service and its users make, over a real socket, with answers of every kind
 * and scripted faults.
 */
export type Reducto = {
  readonly url: string
  readonly apiKey: string
  readonly storage: Storage
  /** Adds a job; it has ended unless `job` says otherwise. Returns its id. */
  addJob(job?: Partial<NewJob>): string
  /** Ends the job now and calls `onEnd`. */
  end(jobId: string, status?: 'Completed' | 'Failed'): void
  /** Purges the job: it is unknown from now on. */
  purge(jobId: string): void
  /** Makes the next calls of `GET /job/{id}` fail, one fault per call; `*` for any job. */
  fail(jobId: string, ...faults: Fault[]): void
  /** The answer to every call with the key while it is set. */
  setAccountFault(fault: AnsweredFault | null): void
  /** The next submission makes its job, and its answer never arrives. */
  loseAnswer(): void
  /** What was submitted, in order. */
  readonly submissions: readonly { readonly kind: Kind; readonly jobId: string; readonly body: Submission }[]
  /** What was uploaded, by file id. */
  readonly uploads: ReadonlyMap<string, Upload>
  /** Calls of `GET /job/{id}` so far, by job id. */
  readonly fetches: ReadonlyMap<string, number>
  /** Resolves when `GET /job/{id}` is called next. */
  nextFetch(jobId: string): Promise<void>
  stop(): Promise<void>
}

export type Fault =
  /** The job appears to be running. */
  | { readonly is: 'unfinished'; readonly status?: string }
  | {
      readonly is: 'status'
      readonly status: number
      readonly body?: unknown
      readonly headers?: Record<string, string>
    }
  /** A proxy's page instead of an answer. */
  | { readonly is: 'html'; readonly status: number }
  /** Headers, half of a body, then nothing. */
  | { readonly is: 'stall' }
  | { readonly is: 'truncate' }
  | { readonly is: 'reset' }
  | { readonly is: 'body'; readonly body: string; readonly status?: number }
  /** A late answer. */
  | { readonly is: 'slow'; readonly ms: number }

/** Every fault except lateness replaces the answer. */
type AnsweredFault = Exclude<Fault, { is: 'slow' }>

export type NewJob = {
  readonly id: string
  readonly kind: Kind
  readonly status: 'Pending' | 'Completed' | 'Failed' | 'Cancelled'
  readonly reason: string | null
  readonly metadata: unknown
  readonly channels: readonly string[]
  /** Replaces the document of `kind`. */
  readonly document: (storage: Storage) => Document
}

type Job = NewJob & { createdAt: Date; current: NewJob['status'] }

export type ReductoOptions = {
  /** Duration of a submitted job, ms. */
  readonly jobTime?: number
  /** Lifetime of a link to storage, ms. */
  readonly linkLifetime?: number
  /** Called for each `GET /job/{id}`. */
  readonly onFetch?: (jobId: string) => void
  /** Called when a submitted job has ended. */
  readonly onEnd?: (job: { id: string; status: string; metadata: unknown; channels: readonly string[] }) => void
}

const SUBMITTED: Readonly<Record<string, Kind>> = {
  '/parse_async': 'parse',
  '/extract_async': 'extract',
  '/split_async': 'split',
  '/edit_async': 'edit',
  '/pipeline_async': 'pipeline',
}

export async function startReducto(options: ReductoOptions = {}): Promise<Reducto> {
  const apiKey = `key-${randomUUID()}`
  const jobs = new Map<string, Job>()
  const faults = new Map<string, Fault[]>()
  const fetches = new Map<string, number>()
  const fetched = new EventEmitter()
  const stopping = new AbortController()
  const submissions: { kind: Kind; jobId: string; body: Submission }[] = []
  const uploads = new Map<string, Upload>()
  let isAnswerLost = false
  let accountFault: AnsweredFault | null = null
  let url = ''
  const storage = createStorage({ base: () => url, lifetime: options.linkLifetime ?? 3_600_000 })

  function addJob(given: Partial<NewJob> = {}): string {
    const kind = given.kind ?? 'parse'
    const id = given.id ?? randomUUID()
    const job: Job = {
      id,
      kind,
      status: 'Completed',
      reason: null,
      metadata: null,
      channels: [],
      document: (objects) => makeDocument(kind, id, objects),
      createdAt: new Date(),
      current: given.status ?? 'Completed',
      ...given,
    }
    jobs.set(id, job)
    return id
  }

  function end(jobId: string, status: 'Completed' | 'Failed' = 'Completed'): void {
    const job = jobs.get(jobId)
    if (!job) throw new Error(`no job ${jobId}`)
    job.current = status
    options.onEnd?.({ id: jobId, status, metadata: job.metadata, channels: job.channels })
  }

  function answerOf(job: Job): unknown {
    const ended = job.current === 'Completed'
    const { type, result } = job.document(storage)
    return {
      status: job.current,
      type,
      progress: ended ? 1 : 0.5,
      reason: job.current === 'Failed' ? (job.reason ?? 'The document could not be read') : null,
      result: ended ? result : null,
      created_at: job.createdAt.toISOString(),
      duration: ended ? 4.2 : null,
      num_pages: 2,
      total_pages: 2,
      raw_config: '{}',
      source: 'upload',
      bucket: null,
    }
  }

  async function getJob(jobId: string, response: ServerResponse): Promise<void> {
    fetches.set(jobId, (fetches.get(jobId) ?? 0) + 1)
    fetched.emit(jobId)
    options.onFetch?.(jobId)
    const fault = faults.get(jobId)?.shift() ?? faults.get('*')?.shift()
    const job = jobs.get(jobId)
    if (fault?.is === 'slow') await delay(fault.ms, undefined, { signal: stopping.signal }).catch(() => {})
    else if (fault) return fail(response, fault, job ? answerOf(job) : null)
    if (!job) return json(response, 404, { detail: 'Job not found' })
    json(response, 200, answerOf(job))
  }

  function listJobs(query: URLSearchParams, response: ServerResponse): void {
    const limit = Number(query.get('limit') ?? 100)
    const offset = Number(query.get('cursor') ?? 0)
    const all = [...jobs.values()].reverse()
    const rows = all.slice(offset, offset + limit).map((job) => ({
      job_id: job.id,
      status: job.current,
      type: job.document(storage).type,
      created_at: job.createdAt.toISOString(),
      duration: 4.2,
      num_pages: 2,
      total_pages: 2,
      raw_config: '{}',
    }))
    const next = offset + limit < all.length ? String(offset + limit) : null
    json(response, 200, { jobs: rows, next_cursor: next })
  }

  function submit(kind: Kind, body: string, response: ServerResponse): void {
    const request = readSubmission(kind, body)
    if ('problem' in request) return json(response, 422, { detail: [{ msg: request.problem }] })
    const id = addJob({ kind, status: 'Pending', metadata: request.metadata, channels: request.channels })
    submissions.push({ kind, jobId: id, body: request.body })
    if (isAnswerLost) response.destroy()
    else json(response, 200, { job_id: id })
    isAnswerLost = false
    void delay(options.jobTime ?? 100, undefined, { signal: stopping.signal })
      .then(() => end(id))
      .catch(() => {})
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://reducto')
    if (pathname.startsWith('/storage/')) return storage.handle(request, response)
    const body = await readBody(request)
    const authorization = request.headers.authorization
    if (authorization === undefined) return fail(response, { is: 'html', status: 403 }, null)
    if (authorization !== `Bearer ${apiKey}`) return json(response, 401, { detail: 'Invalid API key' })
    if (accountFault) return fail(response, accountFault, null)
    const kind = SUBMITTED[pathname]
    if (request.method === 'POST' && kind) return submit(kind, body.toString(), response)
    if (request.method === 'POST' && pathname === '/configure_webhook')
      return json(response, 200, 'https://app.svix.com/login#key=simulated')
    if (request.method === 'POST' && pathname === '/upload') {
      const upload = await readUpload(body, request.headers['content-type'])
      if (upload === null) return json(response, 422, { detail: [{ msg: 'file: field required' }] })
      const fileId = `reducto://${randomUUID()}${extname(upload.name)}`
      uploads.set(fileId, upload)
      return json(response, 200, { file_id: fileId, presigned_url: null })
    }
    const jobId = /^\/job\/([^/]+)$/.exec(pathname)?.[1]
    if (request.method === 'GET' && jobId) return getJob(jobId, response)
    if (request.method === 'GET' && pathname === '/jobs') return listJobs(searchParams, response)
    json(response, 404, { detail: 'Not Found' })
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    url,
    apiKey,
    storage,
    addJob,
    end,
    purge: (jobId) => void jobs.delete(jobId),
    fail: (jobId, ...added) => void faults.set(jobId, [...(faults.get(jobId) ?? []), ...added]),
    setAccountFault(fault) {
      accountFault = fault
    },
    loseAnswer() {
      isAnswerLost = true
    },
    submissions,
    uploads,
    fetches,
    nextFetch: async (jobId) => void (await once(fetched, jobId)),
    stop() {
      stopping.abort()
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

function fail(response: ServerResponse, fault: AnsweredFault, answer: unknown): void {
  const whole = Buffer.from(JSON.stringify(answer ?? {}))
  switch (fault.is) {
    case 'unfinished':
      return json(response, 200, { status: fault.status ?? 'Pending', progress: 0.5, result: null })
    case 'status':
      return json(response, fault.status, fault.body ?? { detail: `simulated ${fault.status}` }, fault.headers)
    case 'html':
      return void response.writeHead(fault.status, { 'content-type': 'text/html' }).end('<html>Forbidden</html>')
    case 'body':
      return void response.writeHead(fault.status ?? 200, { 'content-type': 'application/json' }).end(fault.body)
    case 'reset':
      return void response.destroy()
    case 'stall':
    case 'truncate':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': whole.length })
      response.write(whole.subarray(0, Math.floor(whole.length / 2)))
      if (fault.is === 'truncate') setImmediate(() => response.destroy())
  }
}

function json(response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}
