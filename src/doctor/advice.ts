import type { SIGNATURE_REASONS } from '../telemetry/reasons.ts'

/** What an answer to a delivery, or its absence, means, and what cures it. */

/** What came back. `location`: of a redirect; `isJson`: the answer is JSON, as all of this service's are. */
export type Answer = {
  readonly status: number
  readonly body: string
  readonly contentType: string
  readonly location: string | null
}

/** `isFine`: the service has recorded the delivery. */
export type Advice = { readonly isFine: boolean; readonly message: string }

const FINE = (message: string): Advice => ({ isFine: true, message })
const BAD = (message: string): Advice => ({ isFine: false, message })

type SignatureReason = (typeof SIGNATURE_REASONS)[number]

/** Of this service's own refusals, by the `reason` of a 401. */
const SIGNATURE: Readonly<Record<SignatureReason, string>> = {
  no_match:
    'the signature does not match: the service has another secret for this endpoint than the settings here (SVIX_WEBHOOK_SECRET of the endpoint, or of another environment), or a proxy changes the body on its way',
  missing_headers:
    'the svix-* headers did not arrive: a proxy or firewall in front of the service removes them; let them pass',
  mixed_headers:
    'svix-* and webhook-* headers arrived together: a proxy adds some of its own; let only those of the sender pass',
  bad_timestamp: 'svix-timestamp arrived changed: a proxy rewrites headers; let them pass as they are',
  timestamp_too_old:
    'the clocks differ by more than five minutes: set that of the service’s machine, or of this one, by NTP',
  timestamp_too_new:
    'the clocks differ by more than five minutes: set that of the service’s machine, or of this one, by NTP',
  not_utf8: 'the body arrived changed: a proxy re-encodes it; let it pass as it is',
}

/** What cures a refused signature; undefined for a reason that is none of this version's. */
export function signatureCure(reason: unknown): string | undefined {
  return new Map<unknown, string>(Object.entries(SIGNATURE)).get(reason)
}

/** Of this service's other answers, by `error`. */
const ERRORS: Readonly<Record<string, string>> = {
  invalid_payload: 'the service did not understand the payload: is it an older version than this command?',
  body_already_read:
    'a body parser of the app reads the body before the receiver: mount its router before express.json()',
  http_version_not_supported:
    'the app speaks HTTP/2 to the receiver: let a proxy in front end HTTP/2 and speak HTTP/1.1 to it',
  unknown_endpoint:
    'the service has no such endpoint: set SVIX_WEBHOOK_SECRET_<NAME> for it and restart, or correct the end of the URL',
  not_found: 'the service has no such path: webhooks go to /webhook or /webhook/NAME. Does a proxy rewrite the path?',
  method_not_allowed: 'the POST arrived as another method: a redirect or a proxy changed it',
  timeout: 'the body did not arrive within 10 s: look at the network, or a proxy that holds it back',
  payload_too_large: 'the body arrived larger than 1 MiB: something on its way adds to it',
  encoding_not_supported: 'the body arrived compressed: a proxy does that; switch it off for this path',
  headers_too_large: 'the headers arrived larger than 16 KiB: a proxy adds some; make them fewer',
  bad_request:
    'what arrived is no HTTP that the service reads: does a proxy speak HTTPS, HTTP/2 or the PROXY protocol to its port?',
  internal_error: 'the service failed at this request: see its log',
  unavailable:
    'the service is there, and cannot record deliveries now: /readyz and its log say why. Svix would try again',
}

/** Of whatever stands in front of the service, by status. */
const IN_FRONT: Readonly<Record<number, string>> = {
  400: 'if it speaks of HTTPS, the URL must begin with https://; else it does not like the request',
  401: 'it asks for a password: let POSTs to /webhook pass without one; the signature protects them',
  403: 'a firewall or access rule refuses the request: let POSTs to /webhook pass, from Svix’s addresses at least',
  404: 'it has no such path or host: is the URL right, and does it pass /webhook on to the service?',
  405: 'it does not let POST pass: this path is not passed on to the service',
  407: 'a proxy of this network asks for a password: see HTTPS_PROXY',
  408: 'it waited too long for the request',
  411: 'it wants a Content-Length: let requests pass as they are',
  413: 'it takes only smaller bodies: allow at least 1 MiB (nginx: client_max_body_size)',
  421: 'it does not serve this host name: is the certificate or virtual host another one’s?',
  429: 'it limits the rate of requests: exempt /webhook, or deliveries come late',
  431: 'the headers are too large for it',
  500: 'it fails by itself: see its log',
  502: 'it cannot reach the service: is that running, at the host and port that it passes requests on to?',
  503: 'it has no service to pass requests on to: is that running, and does its health check ask GET /readyz?',
  504: 'the service did not answer it in time: is that running, or does it hang?',
  521: 'the service’s machine refuses its connections: is a service running, and does the firewall let Cloudflare in?',
  522: 'it cannot connect to the service’s machine: does the firewall let Cloudflare in?',
  523: 'it cannot find the service’s machine: is the DNS record right?',
  524: 'the service did not answer it in time',
  525: 'its TLS handshake with the service’s machine failed: check the certificate there',
  526: 'it does not accept the certificate of the service’s machine',
}

/** What an answer means. `to`: where the delivery was sent. */
export function adviceOn(answer: Answer, to: URL): Advice {
  const said = ownAnswer(answer)
  const { status, location } = answer
  if (status >= 300 && status < 400) return BAD(redirected(location, to))
  if (said?.received === true) return FINE(typeof said.ignored === 'string' ? PING_RECORDED : RECORDED)
  if (typeof said?.error === 'string') {
    const { error, reason } = said
    const signature = error === 'invalid_signature' ? signatureCure(reason) : undefined
    const cure = signature ?? (Object.hasOwn(ERRORS, error) ? ERRORS[error] : undefined)
    if (cure) return BAD(cure)
  }
  if (status >= 200 && status < 300)
    return BAD(
      'something answered, but not this service, which says {"received":true}: does the URL lead to it, and a proxy pass POSTs to /webhook on?',
    )
  return BAD(
    `this is no answer of the service, but of something in front of it (a proxy, a firewall, a platform): ${inFront(status)}`,
  )
}

const RECORDED = 'recorded: the service runs, its secret is right, and Svix can reach it as this command did'
const PING_RECORDED = `${RECORDED}; a ping names no job, so there is nothing to do`

function inFront(status: number): string {
  if (Object.hasOwn(IN_FRONT, status)) return IN_FRONT[status]!
  return status >= 500 ? 'it fails; see its log' : `it refuses the request with ${status}; see its log`
}

/** The members of this service's answers; null when it is none. */
function ownAnswer({ body, contentType }: Answer): Record<string, unknown> | null {
  if (!/^application\/json\b/i.test(contentType)) return null
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function redirected(location: string | null, to: URL): string {
  const target = location === null ? null : URL.parse(location, to.href)
  const where = target === null ? '' : ` to ${target.origin}${target.pathname}`
  const https = target?.protocol === 'https:' && to.protocol === 'http:' ? ': give Svix the https:// URL' : ''
  return `it redirects${where}, which Svix does not follow${https || ': give Svix the URL where the service itself answers'}`
}

/** Of connections that failed, by the code of their error. */
const CONNECTION: readonly (readonly [codes: RegExp, cure: string])[] = [
  [/^ECONNREFUSED$/, 'nothing listens there: is the service running, and is the port right?'],
  [/^ENOTFOUND$|^EAI_NODATA$/, 'the host name has no address: is it right, and is its DNS record there?'],
  [/^EAI_AGAIN$/, 'the name server does not answer: is this machine online? Then try again'],
  [
    /^ECONNRESET$|^EPIPE$|^UND_ERR_SOCKET$/,
    'the connection was cut: a firewall, or a port that speaks something else (http to an https port?)',
  ],
  [
    /^(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ENETDOWN)$/,
    'there is no way to that address from here: is this machine online, and the address not a private one?',
  ],
  [
    /^(ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|UND_ERR_HEADERS_TIMEOUT|UND_ERR_BODY_TIMEOUT|TimeoutError)$/,
    'there was no answer in time: a firewall drops the packets, or the service hangs',
  ],
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN)$/,
    'the certificate is signed by itself, which Svix does not accept: use one of a public authority (Let’s Encrypt)',
  ],
  [
    /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|CERT_UNTRUSTED)$/,
    'the chain of certificates is not complete: let the server send its intermediate certificates, too (fullchain.pem)',
  ],
  [/^CERT_HAS_EXPIRED$/, 'the certificate has expired: renew it'],
  [/^CERT_NOT_YET_VALID$/, 'the certificate is not valid yet: is this machine’s clock right?'],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    'the certificate is for another host name: use the name that it is for, or get one for this',
  ],
  [
    /^(EPROTO|ERR_SSL_|ERR_TLS_)/,
    'the TLS handshake failed: does the port speak HTTPS at all? A service without a proxy in front speaks http://',
  ],
  [/^HPE_/, 'what answers there does not speak HTTP/1.1: is the port right?'],
]

/** What an error of a connection means. `code`: of the error or its cause. */
export function adviceOnFailure(code: string): string {
  return CONNECTION.find(([codes]) => codes.test(code))?.[1] ?? 'see the error’s name'
}
