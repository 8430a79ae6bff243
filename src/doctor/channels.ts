import type { ListedDelivery } from '../inbox/inbox.ts'
import type { Check } from './context.ts'
import { findingOf, type Item, ok, Skip, warning } from './finding.ts'
import { latestDelivery } from './pages.ts'
import { pathOf } from './path.ts'

/** Which endpoints Svix delivers to, as far as the inbox knows: a channel that nobody listens to brings nothing. */
export const channels: Check = {
  name: 'channels',
  group: 'here',
  async run({ settings, ledger, now }, signal) {
    const endpoints = [...settings.get('endpoints').keys()]
    const inbox = await ledger()
    const last = await Promise.all(endpoints.map((endpoint) => latestDelivery(inbox, { endpoint }, signal)))
    if (last.every((one) => one === null))
      throw new Skip('no delivery has arrived so far', 'press "Send Example" in the Svix dashboard, or submit a job')
    return findingOf(endpoints.map((endpoint, index) => heard(endpoint, last[index] ?? null, now())))
  },
}

function heard(endpoint: string, last: ListedDelivery | null, now: number): Item {
  if (last) return ok(`${pathOf(endpoint)}: last delivery ${ageOf(now - last.lastAt)} ago`)
  return warning(
    `no delivery has ever come to ${pathOf(endpoint)}`,
    'does an endpoint in the Svix dashboard have this URL, and listen to the channels that jobs are submitted with? Without channels a job goes to every endpoint',
  )
}

function ageOf(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000))
  if (minutes < 120) return `${minutes} min`
  return minutes < 2_880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1_440)} d`
}
