import { CallFailed, call } from './call.ts'
import type { Check, DoctorContext, Within } from './context.ts'
import { type Finding, findingOf, type Item, ok, problem, warning } from './finding.ts'
import { localUrl } from './local.ts'
import { pathOf } from './path.ts'
import { sendProbe } from './probe.ts'
import { wrongSecret } from './wrong-secret.ts'

/** The service is on this machine: it answers at once, or hangs. ms */
const LOCAL_TIMEOUT_MS = 5_000

/** The service that runs with these settings: what it says of itself, its version, and whether it has their secrets. */
export const service: Check = {
  name: 'service',
  group: 'here',
  limit: 60_000,
  async run(context, signal) {
    const { settings, isRunning } = context
    if (context.within) return ofItself(context, context.within)
    settings.get('database')
    if (!(await isRunning()))
      return findingOf([
        warning('no service runs on this database', 'start it: `serve`. Svix tries for about 28 hours'),
      ])
    const url = localUrl(settings, settings.get('port'))
    if (url === null) return findingOf([ok('a service runs on this database, on a port of its own choice')])
    try {
      const items = await readiness(url, signal)
      const known = await ofThisService(context, url, signal)
      return findingOf([...items, ...known])
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error
      return findingOf([
        problem(
          `a service holds the database, and does not answer at ${url}: ${error.message}`,
          'is it another machine’s or container’s, or has it another HOST or PORT? Or does it hang? See its log',
        ),
      ])
    }
  },
}

/** A page that it makes says that it runs. */
function ofItself({ version }: DoctorContext, { health }: Within): Finding {
  const { notReady, degraded } = health()
  const items =
    notReady.length > 0 ? [acceptsNone(notReady)] : degraded.map(({ name, message }) => trouble(name, message))
  return findingOf(items.length > 0 ? items : [ok(`version ${version} runs, and is ready`)])
}

async function readiness(url: string, signal: AbortSignal): Promise<readonly Item[]> {
  const { status, body } = await call(new URL(`${url}/readyz`), { signal, timeout: LOCAL_TIMEOUT_MS })
  const said = membersOf(body)
  const notReady = Array.isArray(said.not_ready) ? said.not_ready.map(String) : []
  if (status === 503 && notReady.length > 0) return [acceptsNone(notReady)]
  if (status !== 200) return [problem(`${url}/readyz answers ${status}`, 'does another program listen at PORT?')]
  const details = membersOf(JSON.stringify(said.details ?? {})) as Record<string, { message?: unknown } | undefined>
  const degraded = Array.isArray(said.degraded) ? said.degraded.map(String) : []
  return degraded.map((name) => {
    const message = details[name]?.message
    return trouble(name, typeof message === 'string' ? message : 'degraded')
  })
}

function acceptsNone(notReady: readonly string[]): Item {
  const found = `the service accepts no deliveries: ${notReady.join(', ')}`
  return problem(found, 'see /readyz under troubleshooting, and its log')
}

function trouble(name: string, message: string): Item {
  const found = `${name}: ${message}`
  if (name === 'worker_paused') return warning(found, '`resume` ends the pause')
  return problem(found, 'see /readyz under troubleshooting')
}

/** What only a probe tells. */
async function ofThisService(context: DoctorContext, url: string, signal: AbortSignal): Promise<readonly Item[]> {
  const prover = await context.prover()
  if (!prover) return [ok('a service runs on this database, and is ready')]
  const items: Item[] = []
  for (const [endpoint, secrets] of context.settings.get('endpoints')) {
    const to = new URL(url + pathOf(endpoint))
    const probe = { prover, secrets, body: '{"success":true}', now: context.now(), signal, timeout: LOCAL_TIMEOUT_MS }
    const { got, isOurs, echo } = await sendProbe(to, probe)
    if (!isOurs && got.status !== 503)
      return [
        problem(
          `what answers at ${url} is not the service of this database`,
          'is HOST or PORT another one’s? Is the service older than this command? Restart it',
        ),
      ]
    if (got.status === 404)
      items.push(
        problem(`the running service has no endpoint ${pathOf(endpoint)}`, 'restart it: the settings were changed'),
      )
    else if (echo && echo.signature !== 'valid')
      items.push(await wrongSecret(context, endpoint, to, echo.signature, signal))
    else if (echo && echo.version !== context.version)
      items.push(warning(`the service runs version ${echo.version}, and this is ${context.version}`, 'restart it'))
  }
  return items.length > 0 ? items : [ok(`version ${context.version} runs, and has the secrets of these settings`)]
}

function membersOf(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
