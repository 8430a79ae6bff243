import { NONCE_HEADER } from '../../proof.ts'
import { newMessageId, newSecret, sign, signatureHeaders } from '../../signing.ts'
import { adviceOn } from '../advice.ts'
import { CallFailed, call } from '../call.ts'
import { type Check, type DoctorContext, outsideOf } from '../context.ts'
import { findingOf, type Item, ok, problem, Skip } from '../finding.ts'
import { requireAnswer } from './answer.ts'
import { eachEndpoint } from './each.ts'

const BODY = '{"success":true}'

/** Whether a delivery with a wrong signature is refused, and by the service: what answers 2xx here loses deliveries. */
export const signature: Check = {
  name: 'signature',
  group: 'outside',
  limit: 60_000,
  run: async (context, signal) =>
    findingOf(await eachEndpoint(context, (endpoint) => forge(context, endpoint, signal))),
}

async function forge(context: DoctorContext, endpoint: string, signal: AbortSignal): Promise<Item> {
  await requireAnswer(context, endpoint)
  const { timeout, ...outside } = outsideOf(context)
  const url = outside.urlOf(endpoint)
  const asked = (await context.prover())?.probe(context.now()) ?? null
  const forged = signatureHeaders(sign(newMessageId(), new Date(context.now()), BODY, [newSecret()]))
  const headers = { ...forged, 'content-type': 'application/json', ...(asked ? { [NONCE_HEADER]: asked.header } : {}) }
  try {
    const got = await call(url, { method: 'POST', headers, body: BODY, signal, timeout })
    const isOurs = asked === null ? got.body.includes('"invalid_signature"') : got.proof === asked.proof
    if (got.status >= 200 && got.status < 300)
      return problem(
        `${url.href} took a delivery with a wrong signature, with ${got.status}: ${isOurs ? 'something in front changes the answers of the service' : 'something in front answers POSTs by itself'}`,
        'nothing in front of the service may answer 2xx by itself: pass POST /webhook on',
      )
    if (got.status === 401 && isOurs) return ok(`${url.href} refuses a wrong signature`)
    // What keeps any delivery from being looked at is told by the next check.
    if (isOurs) throw new Skip(`this service refused it with ${got.status}, whatever its signature: see delivery`)
    return problem(`POST ${url.href} does not reach the service: ${got.status}`, adviceOn(got, url).message)
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error
    return problem(`POST ${url.href}: ${error.message}`, error.cure)
  }
}
