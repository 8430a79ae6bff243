import { command } from '../command.ts'
import { JSON_OUT, PAGE, SINCE, WIDE } from './shared.ts'

const FILTERS = {
  disposition: {
    takes: 'a kind',
    choices: ['job', 'ignored', 'rejected'],
    does: 'taken for a job update, for none, or not understood',
  },
  endpoint: { takes: 'the name of an endpoint', does: 'that came to this endpoint' },
  since: { ...SINCE.since, does: 'received since then: 2h, 3d, or a time' },
  q: { takes: 'the start of an id', does: 'whose svix-id begins so' },
} as const

export const deliveriesList = command({
  name: 'deliveries list',
  does: 'the deliveries, newest first; also ignored and rejected ones',
  options: { ...FILTERS, ...PAGE, ...WIDE, ...JSON_OUT },
  examples: [['deliveries list --disposition rejected', 'what was signed, and not understood']],
})

export const deliveriesShow = command({
  name: 'deliveries show',
  args: 'a svix-id, or the start of one',
  takes: [1, 1],
  does: 'one delivery with its body',
  options: JSON_OUT,
  examples: [['deliveries show msg_2x', 'all that is known of it']],
})

export const deliveriesRetry = command({
  name: 'deliveries retry',
  args: 'svix-ids, or options that say which: --disposition ignored, --since 2h, …',
  takes: [0, Infinity],
  does: 'reads ignored and rejected deliveries again, as after an upgrade that understands them',
  more: 'Those that name a job now are queued as if they had just arrived. Of large ones only the start is kept: press Resend in Svix.',
  options: {
    ...FILTERS,
    disposition: { ...FILTERS.disposition, choices: ['ignored', 'rejected'] },
    'dry-run': { does: 'does nothing: says how many would be understood' },
    ...JSON_OUT,
  },
  examples: [['deliveries retry --disposition ignored --since 3d', 'all ignored ones of three days']],
})
