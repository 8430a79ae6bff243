import { parseExact, stringifyExact } from '../exact-json.ts'
import type { JobRecord } from '../results/record.ts'
import type { Results } from '../results/results.ts'
import { parseRetryAfter } from '../retry-after.ts'
import { sign, signatureHeaders } from '../signing.ts'
import { type HandOver, throwIfStoreFails } from './hand-over.ts'
import type { Links } from './links.ts'
import { TimeUp, withinTime } from './time-limit.ts'

export type ForwardOptions = {
  readonly url: string
  /** All sign: while one is rotated, the other side may know either. */
  readonly secrets: readonly string[]
  /** One call, ms. */
  readonly timeout: number
  readonly results: Pick<Results, 'open' | 'link'>
  readonly links: Links
  readonly now: () => number
}

/** An answer up to this size goes along in the call; larger ones are fetched through their link. */
const LARGEST_CONTENT = 1024 * 1024

/**
 * Posts the record of each saved result to the user's service, signed the Standard Webhooks way. Every attempt of one
 * round has the same `webhook-id`. A 2xx is success; a redirect is not followed, and is a failure like all else.
 */
export function createForward(options: ForwardOptions): HandOver {
  return async ({ record, round }, signal) => {
    try {
      const response = await withinTime(options.timeout, signal, async (either) => {
        const body = await bodyOf(record, options)
        const signed = sign(`${record.job_id}_${round}`, new Date(options.now()), body, options.secrets)
        const headers = { 'content-type': 'application/json', ...signatureHeaders(signed, 'webhook') }
        return fetch(options.url, { method: 'POST', redirect: 'manual', headers, body, signal: either })
      })
      await response.body?.cancel()
      if (response.ok) return { is: 'taken' }
      const redirected =
        response.status >= 300 && response.status < 400 ? ', a redirect: give FORWARD_URL its target' : ''
      const after = parseRetryAfter(response.headers.get('retry-after'), options.now())
      return {
        is: 'retry',
        reason: { code: `forward_${response.status}`, message: `FORWARD_URL answered ${response.status}${redirected}` },
        ...(after === undefined ? {} : { after }),
      }
    } catch (error) {
      throwIfStoreFails(error)
      return { is: 'retry', reason: { code: 'forward', message: explain(error as Error, options.timeout) } }
    }
  }
}

/** The record, with links to its files, and the answer itself unless that is large. */
async function bodyOf(record: JobRecord, { results, links, now }: ForwardOptions): Promise<string> {
  const { job_id: jobId, job, files } = record
  const direct = await results.link(jobId, job.path, now())
  const content = job.bytes > LARGEST_CONTENT ? {} : { content: parseExact(await text(results, jobId, job.path)) }
  return stringifyExact({
    ...record,
    job: { ...job, url: direct ?? links.to(jobId, job.path, now()), ...content },
    // Always through us: each line of it gets a link of its own.
    files: { ...files, url: links.to(jobId, files.path, now()) },
  })
}

async function text(results: Pick<Results, 'open'>, jobId: string, path: string): Promise<string> {
  const file = await results.open(jobId, path)
  if (file === null) throw new Error(`the saved file ${path} is gone`)
  return Buffer.concat(await Array.fromAsync(file.body)).toString()
}

function explain(error: Error, timeout: number): string {
  if (error instanceof TimeUp) return `FORWARD_URL did not answer within ${timeout} ms`
  const cause = error.cause as { code?: string } | undefined
  return `FORWARD_URL cannot be reached: ${cause?.code ?? error.message}`
}
