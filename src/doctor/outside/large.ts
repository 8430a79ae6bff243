import type { Check } from '../context.ts'
import { findingOf, type Item } from '../finding.ts'
import { deliver } from './delivery.ts'
import { eachEndpoint } from './each.ts'

/** The largest body that Svix sends, bytes. */
const MAX_BODY_BYTES = 1024 * 1024

/** Whether a delivery of 1 MiB passes whatever stands in front. */
export const large: Check = {
  name: 'large body',
  group: 'outside',
  limit: 90_000,
  async run(context, signal) {
    const items = await eachEndpoint(context, (endpoint) => deliver(context, endpoint, largestBody(), signal))
    return findingOf(items.map(named))
  },
}

function largestBody(): string {
  const [start, end] = ['{"success":true,"padding":"', '"}']
  return `${start}${'x'.repeat(MAX_BODY_BYTES - start.length - end.length)}${end}`
}

function named(item: Item): Item {
  return {
    ...item,
    found: item.found.replace('a delivery', 'a delivery of 1 MiB').replace(/^POST /, 'POST of 1 MiB to '),
  }
}
