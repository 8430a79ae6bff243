import { command } from '../command.ts'
import { JSON_OUT, REGISTRATION } from './shared.ts'

/** What Reducto can do with a document by itself; `classify` has no call that ends with a webhook. */
export const SUBMIT_KINDS = ['parse', 'extract', 'split', 'edit', 'pipeline'] as const

export const submit = command({
  name: 'submit',
  args: 'KIND INPUT…',
  takes: [2, Infinity],
  does: 'submits documents to Reducto with the right webhook settings, and registers their jobs',
  more: 'KIND is parse, extract, split, edit or pipeline; an INPUT a URL, reducto://…, jobid://… or a file, which is uploaded. Each input is one job. Nothing is submitted twice: where an answer was lost, the job may exist, exit 1.',
  options: {
    channel: { takes: 'the name of a Svix channel', many: true, does: 'where the webhook goes; without it, to all' },
    ...REGISTRATION,
    options: { takes: 'FILE', does: 'a JSON file with the other fields of the call, as the SDK takes them' },
    concurrency: { takes: 'a number from 1 to 32', default: '4', does: 'how many inputs at once (4)' },
    ...JSON_OUT,
  },
  examples: [
    ['submit parse https://example.com/a.pdf', 'one document'],
    [`submit extract ./invoices/*.pdf --options extract.json --metadata '{"batch":7}'`, 'many, with a schema'],
    ['submit parse ./test.pdf --channel development --endpoint dev', 'to the endpoint for development'],
    ['submit edit ./form.pdf --options edit.json', 'edit.json has edit_instructions'],
  ],
})

export const dashboard = command({
  name: 'dashboard',
  does: 'prints the link to your Svix dashboard',
  more: 'The link signs in whoever has it: treat it like a password.',
  options: JSON_OUT,
  examples: [['dashboard', 'to add an endpoint, or see its message attempts']],
})

export const reconcile = command({
  name: 'reconcile',
  does: 'queues what ended at Reducto without a webhook: registered jobs, or all',
  more: 'The service does this by itself for registered jobs, see RECONCILE_EVERY.',
  options: {
    since: {
      takes: 'a duration such as 2h or 3d, or a time such as 2026-11-24T12:00Z',
      default: '24h',
      does: 'only jobs that were submitted since then (24h)',
    },
    all: { does: 'also jobs of the account that nobody registered' },
    'dry-run': { does: 'does nothing: says what would be queued' },
    ...JSON_OUT,
  },
  examples: [
    ['reconcile --dry-run', 'which registered jobs ended without a webhook'],
    ['reconcile --all --since 12h', 'every finished job of the account that is not here'],
  ],
})
