/** What `/metrics` has of this service: the one table that the registry, docs/metrics.md and the tests are made from. */

export const PREFIX = 'reducto_receiver_'

export type Family = {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[]
  /** What it counts or shows, in one sentence. */
  readonly help: string
  /** What a person does with it. */
  readonly use: string
}

const ACKNOWLEDGEMENT = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15]
const COMMIT = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const READ = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const SINCE_DELIVERY = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 43_200]
const ATTEMPT = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

export const FAMILIES = {
  deliveries_total: {
    kind: 'counter',
    labels: ['endpoint', 'outcome'],
    help: 'Verified deliveries that were recorded and answered.',
    use: 'outcome is accepted, duplicate, requeued, ignored or invalid. Many ignored or invalid ones: has the payload of Reducto changed?',
  },
  refused_total: {
    kind: 'counter',
    labels: ['endpoint', 'reason'],
    help: 'Requests that were refused.',
    use: 'Each reason is explained under troubleshooting. endpoint is results for links, operator for these routes, unknown for paths that nobody has.',
  },
  acknowledgement_seconds: {
    kind: 'histogram',
    labels: [],
    buckets: ACKNOWLEDGEMENT,
    help: 'From the head of a delivery to its answer.',
    use: 'Svix gives up after 15 s. When it grows, look at commit_seconds and the disk.',
  },
  last_verified_delivery_timestamp_seconds: {
    kind: 'gauge',
    labels: ['endpoint'],
    help: 'When the last verified delivery came to this endpoint.',
    use: 'Old: does that fit your traffic, or has Svix disabled the endpoint? After a restart it is absent until a delivery comes, unless the endpoint is the only one.',
  },
  bodies_in_flight_bytes: {
    kind: 'gauge',
    labels: [],
    help: 'Bodies that are arriving or being recorded.',
    use: 'At 64 MiB deliveries are answered with 503: something in front stalls, or the disk does.',
  },
  commit_seconds: {
    kind: 'histogram',
    labels: [],
    buckets: COMMIT,
    help: 'From handing a transaction to the database to its end.',
    use: 'A sync of the disk is most of it.',
  },
  commit_rows: {
    kind: 'histogram',
    labels: [],
    buckets: ROWS,
    help: 'Changes that shared a transaction.',
    use: 'Grows with the load; 256 is the most.',
  },
  commit_failures_total: {
    kind: 'counter',
    labels: [],
    help: 'Transactions of which nothing was kept.',
    use: 'The refused lines have the database’s words: disk full, read-only, damaged.',
  },
  inbox_waiting_rows: {
    kind: 'gauge',
    labels: [],
    help: 'Changes that wait for a transaction.',
    use: 'At 10,000 deliveries are answered with 503: the disk is too slow for the load.',
  },
  inbox_bytes: {
    kind: 'gauge',
    labels: ['part'],
    help: 'Size of the database, of its log, and of the index of search.',
    use: 'part is database, log or search. The database shrinks only when RETENTION takes effect; the log is moved into it all the time.',
  },
  read_seconds: {
    kind: 'histogram',
    labels: ['question'],
    buckets: READ,
    help: 'How long the inbox took to answer a question.',
    use: 'These never hold up a delivery: they have a thread of their own.',
  },
  search_lag_rows: {
    kind: 'gauge',
    labels: [],
    help: 'Deliveries that the index of search does not know yet.',
    use: 'They are found all the same, more slowly. Grows for long: the log says why (search). Absent while there is no index.',
  },
  jobs: {
    kind: 'gauge',
    labels: ['state'],
    help: 'Jobs by state.',
    use: 'Any dead one needs a person: jobs list --state dead.',
  },
  oldest_due_seconds: {
    kind: 'gauge',
    labels: ['stage'],
    help: 'For how long the longest-waiting job of this stage has been due.',
    use: 'Minutes: a pause, too few places, or slow attempts. For fetch hours are urgent: Reducto deletes results after about 12.',
  },
  expected_overdue: {
    kind: 'gauge',
    labels: [],
    help: 'Registered jobs whose webhook has not come within 10 minutes.',
    use: 'Large documents take longer. Growing: is the endpoint enabled in Svix, and does it listen to the channel of these jobs?',
  },
  missed_webhooks_total: {
    kind: 'counter',
    labels: [],
    help: 'Registered jobs that had ended without a webhook, and were queued.',
    use: 'The log line jobs ended without a webhook has the likely cause.',
  },
  silence: {
    kind: 'gauge',
    labels: [],
    help: 'Whether nothing verified arrives although it should.',
    use: '1: look at the message attempts in Svix, and whether the endpoint is disabled.',
  },
  results_at_risk: {
    kind: 'gauge',
    labels: [],
    help: 'Jobs whose result only Reducto has: not fetched yet, or dead and retried in time.',
    use: 'Reducto deletes results about 12 h after their job ended. When next_purge_timestamp_seconds is near, end what holds up fetching, and retry the dead ones.',
  },
  next_purge_timestamp_seconds: {
    kind: 'gauge',
    labels: [],
    help: 'When Reducto deletes the first of these results, about.',
    use: 'Absent when none is at risk. The figure is about, so that a time that has passed may still be mended.',
  },
  attempts_total: {
    kind: 'counter',
    labels: ['stage', 'outcome', 'reason'],
    help: 'Attempts at jobs that are over.',
    use: 'Outcomes and reasons are explained under troubleshooting. reason is none for those that did not fail, other for codes of your own code.',
  },
  settled_total: {
    kind: 'counter',
    labels: ['type', 'outcome'],
    help: 'Jobs that ended.',
    use: 'outcome is done, failed (Reducto says so; saved and handed over all the same) or dead. type is other when it is not known.',
  },
  saved_seconds: {
    kind: 'histogram',
    labels: [],
    buckets: SINCE_DELIVERY,
    help: 'From the first delivery of a job until its result was saved.',
    use: 'The larger it is, the nearer results are to their end at Reducto. Only first rounds count.',
  },
  done_seconds: {
    kind: 'histogram',
    labels: [],
    buckets: SINCE_DELIVERY,
    help: 'From the first delivery of a job until nothing more was to be done.',
    use: 'What your users wait for. Only first rounds count.',
  },
  fetch_seconds: {
    kind: 'histogram',
    labels: ['outcome'],
    buckets: ATTEMPT,
    help: 'Attempts to fetch and save a result, with all their downloads.',
    use: 'outcome is ok or error. Attempts that found the job unfinished, or were interrupted, do not count.',
  },
  hand_over_seconds: {
    kind: 'histogram',
    labels: ['outcome'],
    buckets: ATTEMPT,
    help: 'Attempts to hand a result over.',
    use: 'outcome is ok or error. The time is that of your code, or of FORWARD_URL.',
  },
  saved_bytes_total: {
    kind: 'counter',
    labels: [],
    help: 'Bytes of results that were saved.',
    use: 'How fast the store of results fills. Side files that came later are not in it.',
  },
  saved_files_total: {
    kind: 'counter',
    labels: ['outcome'],
    help: 'Files of results when these were saved.',
    use: 'outcome is saved or missing. Missing ones are tried again.',
  },
  places: {
    kind: 'gauge',
    labels: ['stage'],
    help: 'Jobs of this stage that may run at once.',
    use: 'WORKER_CONCURRENCY.',
  },
  busy: {
    kind: 'gauge',
    labels: ['stage'],
    help: 'Jobs of this stage that run now.',
    use: 'As many as places while oldest_due_seconds grows: raise WORKER_CONCURRENCY.',
  },
  paused: {
    kind: 'gauge',
    labels: ['cause'],
    help: 'Whether claims are stopped for this cause.',
    use: 'operator: somebody paused the worker. reducto_auth: the key is refused. results, disk: results cannot be saved.',
  },
  handler_failing: {
    kind: 'gauge',
    labels: [],
    help: 'Whether the last five calls of the handler failed.',
    use: 'Results are saved; each is handed over again until HANDLER_RETRY_FOR is spent.',
  },
  ready: {
    kind: 'gauge',
    labels: [],
    help: 'Whether deliveries can be accepted.',
    use: '0 for minutes: /readyz and the log say why. Svix tries again for about 28 hours.',
  },
  slowed_total: {
    kind: 'counter',
    labels: [],
    help: 'How often Reducto asked for fewer calls.',
    use: 'Often: lower WORKER_CONCURRENCY, or ask Reducto for a higher limit.',
  },
  fenced_total: {
    kind: 'counter',
    labels: [],
    help: 'Attempts whose claim was lost: nothing was changed.',
    use: 'Somebody erased or requeued the job meanwhile.',
  },
  stuck_total: {
    kind: 'counter',
    labels: ['what'],
    help: 'Operations of the service itself that failed and are tried again.',
    use: 'what is claim, settle, tidy, request or other. The log has the error: operation failed, retrying.',
  },
  free_disk_bytes: {
    kind: 'gauge',
    labels: ['store'],
    help: 'Free bytes on the disk of this store.',
    use: 'store is inbox or results; a bucket has none.',
  },
  min_free_disk_bytes: {
    kind: 'gauge',
    labels: [],
    help: 'MIN_FREE_DISK: below it fetching pauses.',
    use: 'To compare free_disk_bytes with.',
  },
  operator_actions_total: {
    kind: 'counter',
    labels: ['action'],
    help: 'What operators did through the routes of this process.',
    use: 'action is retry, replay, erase, pause, resume, retry_deliveries, erase_deliveries, show, show_delivery or doctor. Those of commands are in the log of actions alone, with who did them.',
  },
  sign_in_failures_total: {
    kind: 'counter',
    labels: [],
    help: 'Calls of the operator’s routes with a wrong token.',
    use: 'Many: somebody guesses, or a scraper has an old token.',
  },
  signing_secrets: {
    kind: 'gauge',
    labels: ['endpoint'],
    help: 'Signing secrets of this endpoint.',
    use: 'More than one for days: a rotation was not finished.',
  },
  build_info: {
    kind: 'gauge',
    labels: ['version', 'node', 'inbox', 'results', 'handler'],
    help: 'Always 1; the labels say what runs.',
    use: 'To see that an upgrade has reached every instance.',
  },
} as const satisfies Readonly<Record<string, Family>>

export type FamilyName = keyof typeof FAMILIES
export type LabelsOf<N extends FamilyName> = (typeof FAMILIES)[N]['labels'][number]
