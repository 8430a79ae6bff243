import type { DeliveryFilter } from '../../inbox/inbox.ts'
import { timeOf } from '../values.ts'

/** Which deliveries; empty when no option says so. */
export function deliveryFilterOf(
  values: {
    readonly [K in 'disposition' | 'endpoint' | 'since' | 'q']: string | undefined
  },
): DeliveryFilter {
  const { disposition, endpoint, since, q } = values
  return {
    // The spec has the choices.
    ...(disposition === undefined ? {} : { disposition: disposition as NonNullable<DeliveryFilter['disposition']> }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(since === undefined ? {} : { since: timeOf('since', since) }),
    ...(q === undefined ? {} : { q }),
  }
}
