import { signatureCure } from './advice.ts'
import type { DoctorContext } from './context.ts'
import { type Item, problem } from './finding.ts'
import { pathOf } from './path.ts'
import { sendProbe } from './probe.ts'

/** What a delivery is refused for that arrived as it was sent: the service has another secret, perhaps another endpoint's. */
export async function wrongSecret(
  context: DoctorContext,
  endpoint: string,
  url: URL,
  reason: string,
  signal: AbortSignal,
): Promise<Item> {
  const found = `${url.href} refuses what is signed with the secret of the settings (${reason})`
  if (reason !== 'no_match') return problem(found, signatureCure(reason) ?? 'see the service’s log')
  const owner = await ownerOfItsSecret(context, endpoint, url, signal)
  if (owner === null)
    return problem(
      found,
      `the running service has another secret for ${pathOf(endpoint)} than these settings: restart it after a change; give both the one that the Svix dashboard shows`,
    )
  return problem(
    `${found}: it has that of ${pathOf(owner)}`,
    `the secrets of ${pathOf(endpoint)} and ${pathOf(owner)} are mixed up: give each endpoint its own, as in the Svix dashboard, and restart`,
  )
}

async function ownerOfItsSecret(context: DoctorContext, endpoint: string, url: URL, signal: AbortSignal) {
  const prover = await context.prover()
  if (!prover) return null
  for (const [name, secrets] of context.settings.get('endpoints')) {
    if (name === endpoint) continue
    const probe = { prover, secrets, body: '{"success":true}', now: context.now(), signal }
    const probed = await sendProbe(url, probe).catch(() => null)
    if (probed?.echo?.signature === 'valid') return name
  }
  return null
}
