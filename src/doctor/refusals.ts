import { call } from './call.ts'
import type { Check, DoctorContext } from './context.ts'
import { findingOf, type Item, ok, problem, Skip, warning } from './finding.ts'
import { localUrl } from './local.ts'
import { pathOf } from './path.ts'

/** The metrics are at most some hundred KiB. */
const MAX_METRICS_BYTES = 4 * 1024 * 1024
const METRICS_TIMEOUT_MS = 5_000

/** What the running service has refused since it started. Refused deliveries leave nothing in the inbox. */
export const refusals: Check = {
  name: 'refusals',
  group: 'here',
  async run(context, signal) {
    const text = await metricsOf(context, signal)
    const accepted = countsOf(text, 'deliveries_total', 'outcome')
    const refused = countsOf(text, 'refused_total', 'reason')
    const items = [...context.settings.get('endpoints').keys()].flatMap((endpoint) => {
      const total = [...(accepted.get(endpoint)?.values() ?? [])].reduce((sum, count) => sum + count, 0)
      return itemsOf(endpoint, total, refused.get(endpoint) ?? new Map())
    })
    return findingOf(items.length > 0 ? items : [ok('the service has refused no delivery since it started')])
  },
}

async function metricsOf({ settings, within }: DoctorContext, signal: AbortSignal): Promise<string> {
  if (within) return within.metrics()
  const admin = settings.get('admin')
  if (!admin) throw new Skip('not known without ADMIN_TOKEN: the log has a line `refused` for each')
  const url = localUrl(settings, settings.get('adminPort') ?? settings.get('port'))
  if (url === null) throw new Skip('PORT is 0, so that the service cannot be found')
  const headers = { authorization: `Bearer ${admin.write[0]}` }
  const options = { headers, signal, timeout: METRICS_TIMEOUT_MS, maxBytes: MAX_METRICS_BYTES }
  const answer = await call(new URL(`${url}/metrics`), options).catch(() => null)
  if (answer?.status !== 200) throw new Skip('the service did not show its metrics: see service')
  return answer.body
}

/** endpoint → reason or outcome → count */
function countsOf(text: string, family: string, label: string): Map<string, Map<string, number>> {
  const found = new Map<string, Map<string, number>>()
  for (const [, labels = '', value] of text.matchAll(new RegExp(`^\\w*${family}\\{([^}]*)\\} (\\d+)`, 'gm'))) {
    const of = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1] ?? ''
    const counts = found.get(of('endpoint')) ?? new Map<string, number>()
    found.set(of('endpoint'), counts.set(of(label), Number(value)))
  }
  return found
}

const CURES: Readonly<Record<string, string>> = {
  no_match:
    'does the Svix dashboard show the secret of the settings for this endpoint? If it does, something in front changes the body',
  missing_headers: 'something in front removes the svix-* headers; or these were not Svix’s',
  mixed_headers: 'something in front adds webhook-* headers: let only those of the sender pass',
  bad_timestamp: 'something in front rewrites svix-timestamp',
  timestamp_too_old: 'this machine’s clock is ahead: set it by NTP',
  timestamp_too_new: 'this machine’s clock is behind: set it by NTP',
  not_utf8: 'something in front changes the body',
  encoding: 'something in front compresses requests: switch that off',
  too_large: 'something sends bodies over 1 MiB, which Svix does not',
  invalid_payload: '`deliveries list --disposition rejected` shows them',
}

/** Strangers send requests without signatures to every URL: alone those mean nothing. */
const STRANGERS: ReadonlySet<string> = new Set(['missing_headers', 'encoding', 'too_large'])

function itemsOf(endpoint: string, accepted: number, refused: ReadonlyMap<string, number>): Item[] {
  return [...refused].flatMap(([reason, count]) => {
    const cure = Object.hasOwn(CURES, reason) ? CURES[reason]! : null
    if (count === 0 || cure === null || (STRANGERS.has(reason) && accepted > 0)) return []
    const found = `${pathOf(endpoint)} refused ${count} requests since the start of the service: ${reason}`
    if (accepted > 0 || STRANGERS.has(reason)) return [warning(found, cure)]
    return [problem(`${found}, and accepted none`, cure)]
  })
}
