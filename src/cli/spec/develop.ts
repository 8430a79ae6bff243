import { KINDS } from '../../simulator/documents/documents.ts'
import { command } from '../command.ts'
import { JSON_OUT } from './shared.ts'

/** What `handle --sample` can make. */
const SAMPLES: readonly string[] = [...KINDS, 'failed']

export const demo = command({
  name: 'demo',
  does: 'the service with a simulated Svix and Reducto; no account needed',
  options: {
    once: { does: 'ends with a summary when everything is settled' },
    port: { takes: 'a number from 0 to 65535', default: '0', does: 'listens there; 0 is any free port (0)' },
  },
  examples: [['demo --once', 'a mixed stream of deliveries, told in words']],
})

export const handle = command({
  name: 'handle',
  args: 'the file with the handler',
  takes: [0, 1],
  does: 'calls a handler once, on a sample or a saved result',
  more: 'One call may take HANDLER_TIMEOUT (60s). Exit 1 when it throws, or does not end.',
  options: {
    sample: {
      takes: 'a kind of job',
      choices: SAMPLES,
      does: `a made-up job, extract where nothing is said: ${SAMPLES.join(', ')}`,
    },
    job: { takes: 'a job id', does: 'the saved result of this job, in RESULTS_URL' },
    print: {
      takes: 'extracted, chunks or record',
      choices: ['extracted', 'chunks', 'record'],
      does: 'prints what the handler would see there as JSON; FILE may be left out then',
    },
    watch: { does: 'calls it again whenever a file beside it changes, until Ctrl-C' },
    forward: { takes: 'a URL', does: 'posts the record there instead, signed with FORWARD_SECRET' },
    ...JSON_OUT,
  },
  examples: [
    ['handle ./handlers/invoice.ts --sample extract --watch', 'the loop for writing one'],
    ['handle ./handlers/invoice.ts --job 6f1c…', 'on what was really saved'],
    ['handle --print extracted --sample extract-v3', 'what a handler gets'],
    ['handle --forward http://localhost:8080/reducto', 'tries FORWARD_URL'],
  ],
})

export const sendTest = command({
  name: 'send-test',
  args: 'one of completed, failed and ping',
  takes: [0, 1],
  does: 'sends one signed delivery to a running service, and explains its answer',
  more: 'A test job is done as soon as it is recorded: it is not asked for at Reducto, and not handed over.',
  options: {
    to: { takes: 'a URL', does: 'the webhook’s URL, such as http://localhost:3000/webhook' },
    ...JSON_OUT,
  },
  examples: [['send-test ping --to https://example.com/webhook', 'from outside, as Svix does']],
})
