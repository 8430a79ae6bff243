/** Why requests are refused, explained: what it means, and what to look at. By the reason of the log and the metrics. */

type Meaning = { readonly status: number; readonly text: string }

const MEANINGS: Readonly<Record<string, Meaning>> = {
  no_match: {
    status: 401,
    text: 'Signed with another secret: an endpoint’s secret was rotated, or copied from another endpoint.',
  },
  missing_headers: { status: 401, text: 'Not from Svix, or a proxy strips the svix- headers.' },
  mixed_headers: { status: 401, text: 'svix- and webhook- headers together: something rewrites headers on the way.' },
  bad_timestamp: { status: 401, text: 'The timestamp header is no number: not from Svix.' },
  timestamp_too_old: {
    status: 401,
    text: 'Sent more than five minutes ago: this machine’s clock is ahead, something held it back, or it is a replay.',
  },
  timestamp_too_new: { status: 401, text: 'Sent in the future: this machine’s clock is behind.' },
  not_utf8: { status: 401, text: 'The body is not UTF-8: something changes it on the way.' },
  invalid_payload: { status: 400, text: 'Verified, but no job update could be read from it.' },
  unknown_endpoint: { status: 404, text: 'A URL /webhook/NAME without a secret SVIX_WEBHOOK_SECRET_NAME.' },
  not_found: { status: 404, text: 'A path that this service does not have: mostly scanners of the internet.' },
  method: { status: 405, text: 'Not a POST: a person in a browser, or a health check on the wrong path.' },
  encoding: { status: 415, text: 'A compressed body: a proxy compresses what it passes on.' },
  too_large: { status: 413, text: 'More than 1 MiB: metadata that large has to go elsewhere.' },
  timeout: { status: 408, text: 'The body did not arrive within ten seconds.' },
  not_ready: { status: 503, text: 'While the service started or stopped. Svix tries again.' },
  inbox_full: { status: 503, text: 'More arrived at once than could be recorded. Svix tries again.' },
  inbox_slow: { status: 503, text: 'The disk took longer than ten seconds. Svix tries again; look at the disk.' },
  inbox_failed: { status: 503, text: 'The database did not take the write. Svix tries again; look at the disk.' },
  inbox_closed: { status: 503, text: 'While the service stopped. Svix tries again.' },
  too_much_in_flight: { status: 503, text: 'More than 64 MiB of bodies at once. Svix tries again.' },
  headers_too_large: { status: 431, text: 'Headers of more than 16 KiB.' },
  bad_request: { status: 400, text: 'No HTTP/1.1: TLS or HTTP/2 on the plain port, or a scanner.' },
  broken_off: { status: 0, text: 'The connection ended in the middle of the request.' },
  pipelined: { status: 0, text: 'A second request before the first was answered: not from Svix.' },
  too_many_connections: { status: 0, text: 'More connections at once than this service takes.' },
  http_version: { status: 505, text: 'HTTP/2 on a server that speaks HTTP/1.1.' },
  body_already_read: {
    status: 500,
    text: 'Something read the body before this service: mount it before express.json().',
  },
  link_not_valid: { status: 403, text: 'A link to a result that is not complete, or older than seven days.' },
  result_not_found: { status: 404, text: 'A link to a result that is not saved any more.' },
  results_not_ready: { status: 503, text: 'A link to a result while the store was not ready.' },
  result_refused: { status: 503, text: 'A link to a result that the store did not give.' },
  no_token: { status: 401, text: 'Asked for metrics or the API without a token.' },
  wrong_token: { status: 401, text: 'A wrong operator’s token: mistyped, rotated, or guessed.' },
  session_ended: { status: 401, text: 'A sign-in that has ended.' },
  cross_site: { status: 403, text: 'Another site tried to use somebody’s sign-in. Nothing was done.' },
  read_only: { status: 403, text: 'The reading token, for something that changes things.' },
  slow_down: { status: 429, text: 'Wrong tokens, too many at once: somebody guesses.' },
}

/** For a reason that is not known here, only itself. */
export function refusalMeaning(reason: string): { readonly status: string; readonly text: string } {
  const found = Object.hasOwn(MEANINGS, reason) ? MEANINGS[reason] : undefined
  return { status: found && found.status > 0 ? String(found.status) : '', text: found?.text ?? '' }
}
