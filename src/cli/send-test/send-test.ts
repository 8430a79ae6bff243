import { randomUUID } from 'node:crypto'
import { isBlockedPort } from '../../blocked-ports.ts'
import { causesOf } from '../../causes.ts'
import { type Answer, adviceOn, adviceOnFailure } from '../../doctor/advice.ts'
import { codeOf, memberOf } from '../../error-text.ts'
import { explainError } from '../../explain-error.ts'
import { TEST_JOB_PREFIX } from '../../job.ts'
import { loadConfig } from '../../settings/config.ts'
import { environment } from '../../settings/environment.ts'
import { newMessageId, sign, signatureHeaders } from '../../signing.ts'
import { ownOf, type Run, WrongUse } from '../command.ts'
import { print, printJson } from '../output.ts'
import type { sendTest } from '../spec/develop.ts'
import { oneLine } from '../table.ts'

const BODIES: Readonly<Record<string, () => unknown>> = {
  completed: () => ({ status: 'Completed', job_id: `${TEST_JOB_PREFIX}${randomUUID()}`, metadata: { test: true } }),
  failed: () => ({ status: 'Failed', job_id: `${TEST_JOB_PREFIX}${randomUUID()}`, metadata: { test: true } }),
  ping: () => ({ success: true }),
}

/** Svix waits as long for an answer, ms. */
const TIMEOUT_MS = 15_000
/** The service's answers are small; of a proxy's page the beginning is enough. */
const MAX_ANSWER_BYTES = 64 * 1024
/** So much of an answer is shown. Characters. */
const MAX_SHOWN = 300

/** `send-test [completed|failed|ping] --to URL`: one delivery, signed with this installation's own secret. */
export const runSendTest: Run<typeof sendTest> = async ({ args: [what = 'ping'], values }) => {
  const make = ownOf(BODIES, what)
  if (!make) throw new WrongUse('send-test takes one of completed, failed and ping')
  const to = webhookUrl(values.to)
  const endpoint = /\/webhook\/([^/]+)\/?$/.exec(to.pathname)?.[1] ?? 'default'
  const secrets = loadConfig(environment(), ['endpoints']).endpoints.get(endpoint)
  if (!secrets) throw new WrongUse(`there is no secret for the endpoint ${endpoint} in the settings`)

  const body = JSON.stringify(make())
  const id = newMessageId()
  const began = performance.now()
  const headers = { 'content-type': 'application/json', ...signatureHeaders(sign(id, new Date(), body, secrets)) }
  const answer = await post(to, headers, body)
  const ms = Math.round(performance.now() - began)
  const { isFine, message } = adviceOn(answer, to)
  if (values.json)
    printJson({
      svixId: id,
      sent: JSON.parse(body),
      status: answer.status,
      answer: answer.body,
      ms,
      isFine,
      advice: message,
    })
  else
    print(
      `sent      ${body}\nsvix-id   ${id}\nanswered  ${answer.status} ${shown(answer.body)} in ${ms} ms\n${isFine ? 'fine' : 'cure'}      ${message}\n`,
    )
  return isFine ? 0 : 1
}

async function post(to: URL, headers: Record<string, string>, body: string): Promise<Answer> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(to, { method: 'POST', redirect: 'manual', headers, body, signal })
    return {
      status: response.status,
      contentType: response.headers.get('content-type') ?? '',
      location: response.headers.get('location'),
      body: await startOf(response),
    }
  } catch (error) {
    const found = causesOf(error).map((cause) => codeOf(cause) ?? '')
    const name = String(memberOf(error, 'name'))
    const code = name === 'TimeoutError' ? name : (found.findLast((one) => /^[A-Z_]{4,}/.test(one)) ?? name)
    throw new Error(
      `${to.origin} cannot be reached: ${oneLine(explainError(error))}\ncure      ${adviceOnFailure(code)}`,
    )
  }
}

/** An answer may be without end. */
async function startOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= MAX_ANSWER_BYTES) break
  }
  return Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString()
}

function shown(body: string): string {
  const line = oneLine(body)
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line
}

/** What `fetch` can call. A user name and a password are not shown. */
function webhookUrl(text: string | undefined): URL {
  const url = text && URL.canParse(text) ? new URL(text) : null
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw new WrongUse(
      'send-test needs --to URL that begins with http:// or https://, such as --to http://localhost:3000/webhook',
    )
  if (url.username || url.password) throw new WrongUse('send-test takes a URL without user name and password')
  if (url.port === '0' || isBlockedPort(url))
    throw new WrongUse(`send-test takes a URL with another port: calls to port ${url.port} are blocked, as in browsers`)
  return url
}
