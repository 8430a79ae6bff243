import { randomUUID } from 'node:crypto'
import { isBlockedPort } from '../blocked-ports.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import { newMessageId, sign, signatureHeaders } from '../signing.ts'
import { ownOf, type Run, WrongUse } from './command.ts'
import type { sendTest } from './spec/develop.ts'

const BODIES: Readonly<Record<string, () => unknown>> = {
  completed: () => ({ status: 'Completed', job_id: randomUUID(), metadata: { test: true } }),
  failed: () => ({ status: 'Failed', job_id: randomUUID(), metadata: { test: true } }),
  ping: () => ({ success: true }),
}

/** Svix waits as long for an answer, ms. */
const TIMEOUT = 15_000

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
  const response = await fetch(to, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json', ...signatureHeaders(sign(id, new Date(), body, secrets)) },
    body,
    signal: AbortSignal.timeout(TIMEOUT),
  }).catch((error) => {
    throw new Error(`${to.origin} cannot be reached: ${error.cause?.code ?? error.message}`)
  })
  const answer = await response.text()
  const ms = Math.round(performance.now() - began)
  const report = { svix_id: id, sent: JSON.parse(body), status: response.status, answer, ms }
  process.stdout.write(
    values.json
      ? `${JSON.stringify(report)}\n`
      : `sent      ${body}\nsvix-id   ${id}\nanswered  ${response.status} ${answer} in ${ms} ms\n`,
  )
  return response.ok ? 0 : 1
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
