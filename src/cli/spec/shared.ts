/** Options that several commands share. */

export const JSON_OUT = { json: { does: 'prints JSON instead of text; its fields are only ever added' } } as const

export const WIDE = { wide: { does: 'one line each with all columns, however long' } } as const

export const PAGE = {
  limit: { takes: 'a number from 1 to 1000', default: '20', does: 'how many at most (20)' },
  cursor: { takes: 'what a list ended with', does: 'goes on where that list ended' },
} as const

export const SINCE = {
  since: {
    takes: 'a duration such as 2h or 3d, or a time such as 2026-11-24T12:00Z',
    does: 'with any activity since then: 2h, 3d, or a time',
  },
} as const

export const JOB_FILTERS = {
  state: { takes: 'a state', choices: ['expected', 'queued', 'running', 'done', 'dead'], does: 'in this state' },
  stage: { takes: 'a stage', choices: ['fetch', 'hand_over'], does: 'to be fetched, or saved and to be handed over' },
  status: { takes: 'a status', does: 'with this status of Reducto’s: Completed, Failed' },
  type: { takes: 'a kind of job', does: 'of this kind: Parse, Extract, Split, Edit, Pipeline, Classify' },
  endpoint: { takes: 'the name of an endpoint', does: 'announced first to this endpoint' },
  code: { takes: 'a code', does: 'whose reason has exactly this code' },
  cause: { takes: 'a cause', does: 'dead of exactly this cause, as jobs causes shows it' },
  error: { takes: 'a code or a part of a message', does: 'whose reason has this code, or this text in its message' },
  ...SINCE,
  metadata: {
    takes: 'KEY=VALUE',
    many: true,
    does: 'whose metadata has this member at its top; may be given several times, and all must match',
  },
  q: {
    takes: 'the start of an id, or words',
    does: 'whose id or svix-id begins so; or with all these words in the values of its metadata or in its error, the last one by its beginning, KEY:VALUE below that key',
  },
} as const

/** Bounds of a bulk operation: never more than was shown. */
export const BULK = {
  until: { takes: 'a time such as 2026-11-24T12:00Z', does: 'only jobs without activity after this time' },
  expect: { takes: 'a number', does: 'does nothing if more than this match' },
  'dry-run': { does: 'does nothing: says how many match, and names the first ten' },
} as const

export const WAIT = {
  wait: { does: 'waits until the jobs have ended; exit 1 when one of them is dead' },
  timeout: { takes: 'a duration such as 10m', default: '10m', does: 'how long --wait waits (10m)' },
} as const

/** What is said of jobs that are registered. */
export const REGISTRATION = {
  metadata: { takes: 'JSON', does: 'the metadata of the jobs, any JSON: reaches record and handler' },
  endpoint: { takes: 'the name of an endpoint', does: 'where their webhooks come to; without it, the webhook decides' },
} as const
