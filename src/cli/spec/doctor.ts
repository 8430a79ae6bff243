import { command } from '../command.ts'
import { JSON_OUT } from './shared.ts'

export const doctor = command({
  name: 'doctor',
  does: 'finds out why webhooks do not arrive or results are not saved, and says what to do',
  more: 'It looks at settings, database, disks, clock, key, handler, the running service, and at the public URL as Svix calls it; with a service beside it or without. It sends no delivery that is recorded, and posts nothing to FORWARD_URL. Exit 1 when it finds a problem (a warning is none), 78 when settings are wrong; what they allow is checked all the same.',
  options: {
    url: { takes: 'a URL', does: 'where Svix reaches the service, such as https://example.com (PUBLIC_URL)' },
    'no-sample': { does: 'only loads the handler, and does not call it with a made-up result' },
    ...JSON_OUT,
  },
  examples: [
    ['doctor', 'all checks; those from outside need PUBLIC_URL'],
    ['doctor --url https://example.com', 'the way from outside to the service'],
    ['doctor --json --no-sample', 'for a pipeline: exit 0 when there is no problem'],
  ],
})
