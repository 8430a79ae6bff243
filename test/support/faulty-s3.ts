import { createHash } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export type S3Call = {
  readonly operation: string
  readonly key: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What a call gets instead of its answer. `after`: the call is done first, then its answer is lost. */
export type Fault =
  | { readonly status: number; readonly code: string; readonly message?: string; readonly after?: boolean }
  | 'hang'
  | 'stall'
  | 'reset'
  | { readonly text: string; readonly status: number }

type Stored = { readonly body: Buffer; readonly at: Date }

/**
 * Just enough of S3, in memory and with conditions, to fail as stores do: `fault` is asked for each call. `calls` are those
 * so far; `objects` what is kept; `uploads` those that are under way.
 */
export async function faultyS3(fault: (call: S3Call) => Fault | undefined = () => undefined) {
  const objects = new Map<string, Stored>()
  const uploads = new Map<string, { key: string; parts: Map<number, Buffer> }>()
  const calls: S3Call[] = []
  const watchers = new Set<() => void>()
  let answer = fault

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://s3')
    const key = decodeURIComponent(url.pathname).replace(/^\/results\/?/, '')
    const body = Buffer.concat(await Array.fromAsync(request).catch(() => []))
    const call = { operation: operationOf(request.method!, url.searchParams), key, headers: request.headers, body }
    calls.push(call)
    for (const watch of watchers) watch()
    const wrong = answer(call)
    if (wrong === 'hang') return
    if (wrong === 'reset') return void response.destroy()
    if (wrong === 'stall') return void response.writeHead(200, { 'content-length': 1_000 }).write('half')
    if (wrong && 'text' in wrong) return void response.writeHead(wrong.status).end(wrong.text)
    if (wrong?.after) run(call, url.searchParams, new Discarded() as unknown as ServerResponse)
    if (wrong) return refuse(response, wrong.status, wrong.code, wrong.message)
    run(call, url.searchParams, response)
  })

  function run({ operation, key, headers, body }: S3Call, query: URLSearchParams, response: ServerResponse): void {
    const upload = uploads.get(query.get('uploadId') ?? '')
    const now = new Date()
    switch (operation) {
      case 'PutObject':
        if (headers['if-none-match'] && objects.has(key)) return refuse(response, 412, 'PreconditionFailed')
        objects.set(key, { body, at: now })
        return void response.writeHead(200, { etag: etag(body) }).end()
      case 'CreateMultipartUpload': {
        const id = String(uploads.size + calls.length)
        uploads.set(id, { key, parts: new Map() })
        return xml(
          response,
          `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
        )
      }
      case 'UploadPart':
        upload!.parts.set(Number(query.get('partNumber')), body)
        return void response.writeHead(200, { etag: etag(body) }).end()
      case 'CompleteMultipartUpload':
        objects.set(key, { body: Buffer.concat([...upload!.parts.values()]), at: now })
        uploads.delete(query.get('uploadId')!)
        return xml(response, '<CompleteMultipartUploadResult></CompleteMultipartUploadResult>')
      case 'AbortMultipartUpload':
        uploads.delete(query.get('uploadId')!)
        return void response.writeHead(204).end()
      case 'ListMultipartUploads': {
        const found = [...uploads].map(
          ([id, one]) => `<Upload><Key>${one.key}</Key><UploadId>${id}</UploadId></Upload>`,
        )
        return xml(response, `<ListMultipartUploadsResult>${found.join('')}</ListMultipartUploadsResult>`)
      }
      case 'ListObjectsV2': {
        const found = [...objects].filter(([one]) => one.startsWith(query.get('prefix') ?? ''))
        const contents = found.map(
          ([one, { body, at }]) =>
            `<Contents><Key>${one}</Key><Size>${body.length}</Size><LastModified>${at.toISOString()}</LastModified></Contents>`,
        )
        return xml(response, `<ListBucketResult>${contents.join('')}</ListBucketResult>`)
      }
      case 'DeleteObjects': {
        for (const [, one] of body.toString().matchAll(/<Key>([^<]+)<\/Key>/g)) objects.delete(one!)
        return xml(response, '<DeleteResult></DeleteResult>')
      }
      case 'DeleteObject':
        objects.delete(key)
        return void response.writeHead(204).end()
      default: {
        const found = objects.get(key)
        if (!found) return refuse(response, 404, 'NoSuchKey')
        const length = { 'content-length': found.body.length, 'last-modified': found.at.toUTCString() }
        response.writeHead(200, length).end(operation === 'HeadObject' ? undefined : found.body)
      }
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close().closeAllConnections())
  process.env.AWS_ACCESS_KEY_ID = 'key'
  process.env.AWS_SECRET_ACCESS_KEY = 'secret'
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    uploads,
    calls,
    /** The operations so far, without repetitions in a row. */
    operations: () => calls.map((call) => call.operation),
    fail(next: (call: S3Call) => Fault | undefined) {
      answer = next
    },
    /** Resolves when a call of this operation has come, now or before. */
    called(operation: string): Promise<void> {
      return new Promise((resolve) => {
        const look = () => {
          if (!calls.some((call) => call.operation === operation)) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      })
    },
  }
}

function operationOf(method: string, query: URLSearchParams): string {
  const has = (name: string) => query.has(name)
  if (has('uploads')) return method === 'POST' ? 'CreateMultipartUpload' : 'ListMultipartUploads'
  if (has('uploadId'))
    return { PUT: 'UploadPart', POST: 'CompleteMultipartUpload', DELETE: 'AbortMultipartUpload' }[method] ?? method
  if (has('delete')) return 'DeleteObjects'
  if (has('list-type')) return 'ListObjectsV2'
  return { PUT: 'PutObject', GET: 'GetObject', HEAD: 'HeadObject', DELETE: 'DeleteObject' }[method] ?? method
}

function etag(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`
}

function xml(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/xml' }).end(`<?xml version="1.0"?>${text}`)
}

function refuse(response: ServerResponse, status: number, code: string, message = 'no'): void {
  const text = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
  response.writeHead(status, { 'content-type': 'application/xml' }).end(text)
}

/** Takes an answer that is to be lost. */
class Discarded {
  writeHead() {
    return this
  }
  end() {}
}
