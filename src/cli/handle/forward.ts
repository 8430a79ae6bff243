import { randomBytes } from 'node:crypto'
import type { HandedOver } from '../../handler/hand-over.ts'
import { createLinks } from '../../handler/links.ts'
import { prepareHandOver } from '../../handler/open.ts'
import { createApp } from '../../http/app.ts'
import { listen } from '../../http/server.ts'
import { loadConfig } from '../../settings/config.ts'
import { environment } from '../../settings/environment.ts'
import { newSecret } from '../../signing.ts'
import { createEvents } from '../../telemetry/events.ts'
import { openLog } from '../../telemetry/log.ts'
import { createScrub } from '../../telemetry/scrub.ts'
import { WrongUse } from '../command.ts'
import { printError } from '../output.ts'
import type { Saved } from './saved.ts'

/** What is asked of the server of links: it takes no deliveries. */
const NO_DELIVERIES = { receiver: () => null, health: () => ({ notReady: ['starting' as const], degraded: [] }) }

/**
 * Posts the record to `url` as FORWARD_URL would be called, once. The links in it lead to a server that is there until the
 * other side has answered.
 */
export async function forwardOnce(url: string, { record, results }: Saved, timeout: number): Promise<HandedOver> {
  const secrets = secretsFor(url)
  const events = createEvents()
  const key = randomBytes(32)
  let links: ReturnType<typeof createLinks> | null = null
  const saved = () => (links === null ? null : { results, links: () => links!, now: Date.now })
  await using closing = new AsyncDisposableStack()
  const server = await listen(createApp({ ...NO_DELIVERIES, events, saved }), '127.0.0.1', 0, events)
  closing.defer(() => server.close(0))
  links = createLinks(`http://127.0.0.1:${server.port}`, key)
  const scrub = createScrub(secrets)
  const { log } = openLog({ level: 'silent', scrub, terminal: false })
  const prepared = await prepareHandOver({ kind: 'forward', url, secrets }, { timeout, log, scrub })
  const { handOver } = prepared.open({ results, links, now: Date.now })
  // Awaited here: the links must lead somewhere until then.
  return await handOver({ record, round: 1, attempt: 1 }, new AbortController().signal)
}

/** Those of the settings; where there are none, a new one, which is told. */
function secretsFor(url: string): readonly string[] {
  const env = environment()
  const isSet = Boolean(env.FORWARD_SECRET || env.FORWARD_SECRET_FILE)
  const secret = newSecret()
  if (!isSet) printError(`FORWARD_SECRET is not set; signed with ${secret}`)
  const { HANDLER: _, ...others } = env
  const given = {
    ...others,
    FORWARD_URL: url,
    PUBLIC_URL: 'http://127.0.0.1',
    ...(isSet ? {} : { FORWARD_SECRET: secret }),
  }
  const { handler } = loadConfig(given, ['handler'])
  if (handler?.kind !== 'forward') throw new WrongUse('--forward takes a URL')
  return handler.secrets
}
