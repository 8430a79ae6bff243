import type { Check } from './context.ts'
import { findingOf, ok, problem, Skip, warning } from './finding.ts'

/** Svix's signatures are valid for 300 s: nearer than this to that, deliveries are lost soon. s */
const MAX_DIFFERENCE_S = 240
/** A synchronised clock is within a second; the header has whole ones, and the way takes time. s */
const NOTABLE_DIFFERENCE_S = 30

/** The clock of this machine against that of Reducto's servers: signatures hold for five minutes. */
export const clock: Check = {
  name: 'clock',
  group: 'here',
  async run({ settings, fetch, now }, signal) {
    const { baseUrl } = settings.get('reducto')
    const before = now()
    const response = await fetch(baseUrl, { method: 'GET', redirect: 'manual', signal }).catch(() => null)
    const middle = (before + now()) / 2
    // What a cache has kept says when that was.
    const age = Number(response?.headers.get('age') ?? 0) || 0
    const theirs = Date.parse(response?.headers.get('date') ?? '') + age * 1000
    await response?.body?.cancel().catch(() => {})
    if (Number.isNaN(theirs)) throw new Skip('Reducto sent no time to compare with: see key')
    // The header has whole seconds, cut off.
    const seconds = (middle - theirs - 500) / 1000
    const found = `this machine’s clock is ${Math.abs(Math.round(seconds))} s ${seconds > 0 ? 'ahead of' : 'behind'} Reducto’s`
    if (Math.abs(seconds) > MAX_DIFFERENCE_S)
      return findingOf([problem(found, 'set it by NTP: signatures are refused from 300 s on (timestamp_too_old)')])
    if (Math.abs(seconds) > NOTABLE_DIFFERENCE_S)
      return findingOf([warning(found, 'set it by NTP before it is 300 s, when signatures are refused')])
    return findingOf([ok('this machine’s clock agrees with Reducto’s')])
  },
}
