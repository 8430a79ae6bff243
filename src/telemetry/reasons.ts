import { STATUS_CODES } from 'node:http'

/** Values of labels: each is one of a set that the code knows, so that nobody outside can make series without end. */

export const OTHER = 'other'

/** Why signatures fail. */
export const SIGNATURE_REASONS = [
  'missing_headers',
  'mixed_headers',
  'bad_timestamp',
  'timestamp_too_old',
  'timestamp_too_new',
  'no_match',
  'not_utf8',
] as const

/** Why a delivery is answered with 503. */
export const UNAVAILABLE_REASONS = [
  'not_ready',
  'inbox_full',
  'inbox_slow',
  'inbox_failed',
  'inbox_closed',
  'too_much_in_flight',
] as const

/** Why requests are refused: as docs/troubleshooting.md lists them. */
const REFUSALS: ReadonlySet<string> = new Set([
  ...SIGNATURE_REASONS,
  ...UNAVAILABLE_REASONS,
  'method',
  'unknown_endpoint',
  'not_found',
  'encoding',
  'too_large',
  'timeout',
  'headers_too_large',
  'invalid_payload',
  'body_already_read',
  'http_version',
  'bad_request',
  'broken_off',
  'pipelined',
  'too_many_connections',
  'link_not_valid',
  'result_not_found',
  'results_not_ready',
  'result_refused',
  'no_token',
  'wrong_token',
  'session_ended',
  'cross_site',
  'read_only',
  'slow_down',
])

/** Codes of reasons of jobs, beside those with a status: as docs/troubleshooting.md lists them. */
const CODES: ReadonlySet<string> = new Set([
  'unknown_job',
  'deleted',
  'unfinished',
  'no_result',
  'result_missing',
  'too_large',
  'too_complex',
  'document_crashed',
  'unreadable',
  'stalled',
  'network',
  'reducto_auth',
  'results',
  'disk',
  'busy',
  'inbox',
  'failed',
  'result_not_saved',
  'handler',
  'handler_timeout',
  'refused',
  'forward',
  'saved_file',
  'interrupted',
  'crashed',
  'process_died',
  'erased',
])

/** The statuses of HTTP that say that something is wrong. Servers of others can answer with any number. */
const HTTP_CODES: ReadonlySet<string> = new Set(
  Object.keys(STATUS_CODES)
    .filter((status) => Number(status) >= 400)
    .flatMap((status) => [`http_${status}`, `forward_${status}`]),
)

export function refusalLabel(reason: string): string {
  return REFUSALS.has(reason) ? reason : OTHER
}

/** Codes can also be an author's, who has a `Permanent` carry one. */
export function codeLabel(code: string): string {
  return CODES.has(code) || HTTP_CODES.has(code) ? code : OTHER
}

/** What the `what` of a failing operation begins with, by the label for it. */
const OPERATIONS: readonly (readonly [begins: RegExp, label: string])[] = [
  [/^(?:claim|look for jobs)\b/, 'claim'],
  [/^settle\b/, 'settle'],
  [/^(?:remove abandoned drafts|keep what was saved)\b/, 'tidy'],
  [/^request$/, 'request'],
]
export const OPERATION_LABELS = [...OPERATIONS.map(([, label]) => label), OTHER] as const

export function operationLabel(what: string): string {
  return OPERATIONS.find(([begins]) => begins.test(what))?.[1] ?? OTHER
}
