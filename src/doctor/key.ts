import { createClient } from '../reducto/client.ts'
import type { ReductoError } from '../reducto/errors.ts'
import { createListJobs } from '../reducto/list-jobs.ts'
import { createProbeAccount } from '../reducto/probe.ts'
import { REDUCTO_ENVIRONMENTS } from '../settings/config.ts'
import type { Check, DoctorContext } from './context.ts'
import { type Finding, findingOf, ok, problem, warning } from './finding.ts'

/** One call may take so long, ms: three regions may be asked. */
const CALL_TIMEOUT_MS = 8_000

/** Whether Reducto takes the key, and if not, whether another of its regions does. */
export const key: Check = {
  name: 'key',
  group: 'here',
  limit: 45_000,
  async run(context, signal) {
    const { baseUrl } = context.settings.get('reducto')
    const host = new URL(baseUrl).host
    const works = await ask(context, baseUrl, signal)
    if (works) return findingOf([ok(`${host} takes the key`)])
    if (works === null) return unknown(context, host, signal)
    const other = await otherRegion(context, baseUrl, signal)
    const found = `${host} refuses the key`
    if (other)
      return findingOf([problem(`${found}; it belongs to ${other}`, `set REDUCTO_ENVIRONMENT=${other} and restart`)])
    return findingOf([
      problem(found, 'is REDUCTO_API_KEY complete, and was the key deleted? Create one in Reducto Studio'),
    ])
  },
}

function clientOf({ settings, fetch }: DoctorContext, baseUrl: string) {
  return createClient({ ...settings.get('reducto'), baseUrl, fetch, timeout: CALL_TIMEOUT_MS })
}

function ask(context: DoctorContext, baseUrl: string, signal: AbortSignal): Promise<boolean | null> {
  return createProbeAccount(clientOf(context, baseUrl), context.now)(signal)
}

/** The key of an installation of one's own is shown to nobody else. */
async function otherRegion(context: DoctorContext, baseUrl: string, signal: AbortSignal): Promise<string | null> {
  const regions = Object.entries(REDUCTO_ENVIRONMENTS)
  if (!regions.some(([, url]) => url === baseUrl)) return null
  for (const [name, url] of regions) if (url !== baseUrl && (await ask(context, url, signal))) return name
  return null
}

async function unknown(context: DoctorContext, host: string, signal: AbortSignal): Promise<Finding> {
  const { baseUrl } = context.settings.get('reducto')
  try {
    await createListJobs(clientOf(context, baseUrl), context.now)({ limit: 1 }, signal)
    return findingOf([warning(`${host} takes the key, but not at the first try`, 'look at the network, and try again')])
  } catch (error) {
    const { kind, message } = error as ReductoError
    if (kind === 'rate_limited') return findingOf([warning(`${host} limits the rate of calls: ${message}`, null)])
    return findingOf([
      problem(
        `${host} did not answer as Reducto: ${message}`,
        'look at the network, at HTTPS_PROXY, and at REDUCTO_ENVIRONMENT or REDUCTO_BASE_URL; status.reducto.ai',
      ),
    ])
  }
}
