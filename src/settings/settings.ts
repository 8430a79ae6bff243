import { parseBytes, parseDuration } from '../units.ts'
import { host, noProxy, privateHosts, proxyCredentials, proxyUrl, trustProxy } from './network.ts'
import {
  handlerTimeout,
  modulePath,
  oneOf,
  reconcileEvery,
  resultsRetention,
  retention,
  separated,
  shutdownGrace,
  wholeNumber,
} from './parsers.ts'
import { optional, requiredSecret, secret, setting } from './setting.ts'
import { adminTokens, apiKey, directToken, signingSecrets } from './signing-secrets.ts'
import { databaseSecrets, databaseUrl, resultsUrl } from './stores.ts'
import { webUrl } from './urls.ts'

const FROM_SVIX = 'copy the signing secret of this endpoint from the Svix dashboard'
const MAKE_SECRET = 'create one with: echo "whsec_$(openssl rand -base64 24)"'

/** The common prefix of the names of endpoint secrets. */
export const ENDPOINT_SECRET = 'SVIX_WEBHOOK_SECRET'

/** Parses an endpoint's secrets; each endpoint has its own setting. */
export const endpointSecrets = secret(signingSecrets(FROM_SVIX), {
  secretParts: separated,
  group: 'Required',
  doc: 'The signing secret of your endpoint, from the Svix dashboard (whsec_…). During a rotation, give the old and the new secret, separated by a space or comma.',
})

/**
 * Every setting except the endpoints' secrets, and the only list of them: `.env.example`, reading from files, scrubbing
 * and the search for typing errors are derived from it.
 */
export const SETTINGS = {
  REDUCTO_API_KEY: requiredSecret(apiKey, {
    required: 'is required; create a key in Reducto Studio (https://studio.reducto.ai) under API Keys',
    group: 'Required',
    doc: 'Your Reducto API key.',
  }),
  DIRECT_WEBHOOK_TOKEN: secret(directToken, {
    group: 'More endpoints',
    doc: 'Accepts Reducto’s unsigned direct webhooks at /webhook/direct/<token>. At least 24 characters; openssl rand -hex 24',
  }),
  REDUCTO_ENVIRONMENT: setting(oneOf(['production', 'eu', 'au'], ' (for another address use REDUCTO_BASE_URL)'), {
    default: 'production',
    group: 'Reducto',
    doc: 'The platform of your account: production, eu or au.',
  }),
  REDUCTO_BASE_URL: optional((text) => webUrl(text, { called: true }), {
    group: 'Reducto',
    doc: 'The base URL of an on-premises installation, instead of REDUCTO_ENVIRONMENT.',
  }),
  DOWNLOAD_ALLOW_PRIVATE_HOSTS: setting(privateHosts, {
    list: true,
    default: '',
    group: 'Reducto',
    doc: 'Hosts on private addresses that results may be downloaded from (on-premises storage), each optionally with a port: minio:9000, [fd00::1]:9000, 10.0.0.5. Separated by spaces or commas.',
  }),
  HTTPS_PROXY: secret(proxyUrl, {
    secretParts: proxyCredentials,
    shared: true,
    group: 'Reducto',
    doc: 'A proxy for calls to https:// addresses (Reducto, downloads, forwards), http://user:password@proxy:3128, with %25 for a % in the password. The name may also be in lower case. SOCKS is not supported.',
  }),
  HTTP_PROXY: secret(proxyUrl, {
    secretParts: proxyCredentials,
    shared: true,
    group: 'Reducto',
    doc: 'The same for http:// addresses.',
  }),
  ALL_PROXY: secret(proxyUrl, {
    secretParts: proxyCredentials,
    shared: true,
    group: 'Reducto',
    doc: 'The same for both, where HTTPS_PROXY or HTTP_PROXY is not set.',
  }),
  NO_PROXY: setting(noProxy, {
    default: '',
    shared: true,
    group: 'Reducto',
    doc: 'Hosts and domains that bypass the proxy: localhost,.internal,10.0.0.5',
  }),
  HOST: setting(host, {
    default: '0.0.0.0',
    group: 'Where it listens',
    doc: 'An address or name of this machine.',
  }),
  PORT: setting(wholeNumber(0, 65_535), {
    default: '3000',
    group: 'Where it listens',
    doc: 'The port. 0 selects any free one.',
  }),
  PUBLIC_URL: optional((text) => webUrl(text), {
    group: 'Where it listens',
    doc: 'The public URL of this service, for links to results and the hint at start: https://receiver.example.com',
  }),
  TRUST_PROXY: setting(trustProxy, {
    list: true,
    default: 'false',
    group: 'Where it listens',
    doc: 'The proxies whose X-Forwarded-For is trusted, for the addresses in the log, and whose X-Forwarded-User names an operator: true, false, the number of proxies in front, or their addresses and subnets (loopback, 10.0.0.0/8).',
  }),
  ADMIN_TOKEN: secret(adminTokens, {
    secretParts: separated,
    group: 'For operators',
    doc: 'Turns the operator’s routes on (/api, /metrics), which take it as Authorization: Bearer, and the sign-in. At least 16 characters; openssl rand -hex 24. While it is rotated, give the old and the new one, separated by a space or comma.',
  }),
  ADMIN_READ_TOKEN: secret(adminTokens, {
    secretParts: separated,
    group: 'For operators',
    doc: 'A token that sees everything and changes nothing, for Prometheus and dashboards. The same form.',
  }),
  ADMIN_PORT: optional(wholeNumber(0, 65_535), {
    group: 'For operators',
    doc: 'A port of their own for the operator’s routes, which PORT does not have then: keep it off the internet.',
  }),
  ALERT_URL: secret((text) => webUrl(text, { query: true, called: true }), {
    group: 'For operators',
    doc: 'Receives an alert by POST when jobs are dead (those of one cause together), and when a problem begins and ends. Signed with ALERT_SECRET, as results are for FORWARD_URL. http only to loopback and private hosts.',
  }),
  ALERT_SECRET: secret(signingSecrets(MAKE_SECRET), {
    secretParts: separated,
    group: 'For operators',
    doc: 'Signs the calls to ALERT_URL. Create one with: echo "whsec_$(openssl rand -base64 24)"',
  }),
  ADMIN_HIDE_CONTENT: setting(oneOf(['on', 'off']), {
    default: 'off',
    group: 'For operators',
    doc: 'on hides metadata, bodies and results on the operator’s pages and in the API: whoever has a token of ADMIN_TOKEN sees those of one job after a click, which is noted in the log of actions; with ADMIN_READ_TOKEN nobody does. In the API content=show takes the place of the click.',
  }),
  DATABASE_URL: setting(databaseUrl, {
    default: 'sqlite:./data/receiver.db',
    secret: true,
    secretParts: databaseSecrets,
    group: 'Where things are kept',
    doc: 'The database file, on a local disk: it does not work on a network file system. Or PostgreSQL, for several services on one inbox: postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full (docs/postgresql.md).',
  }),
  RESULTS_URL: setting(resultsUrl, {
    default: 'file:./data/results',
    group: 'Where things are kept',
    doc: 'Results in a folder, or in a bucket: s3://BUCKET/PREFIX?region=REGION, for other stores than Amazon’s with &endpoint=https://HOST. Credentials come from the usual AWS sources (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a role).',
  }),
  RETENTION: setting(retention, {
    default: '100d',
    group: 'Where things are kept',
    doc: 'How long deliveries and finished jobs are kept after their last activity. At least 90d: Svix can replay a delivery for that long, and a deleted one would count as new.',
  }),
  BODY_RETENTION: setting(parseDuration, {
    default: '100d',
    group: 'Where things are kept',
    doc: 'How long the database keeps what may be personal: bodies of deliveries with their metadata, and what attempts at jobs said. Counted like RETENTION, and at most that. Jobs that are not done keep theirs.',
  }),
  RESULTS_RETENTION: setting(resultsRetention, {
    default: 'forever',
    group: 'Where things are kept',
    doc: 'How long results are kept: a duration, or forever.',
  }),
  HANDLER: optional(modulePath, {
    group: 'Your code',
    doc: 'A module that is called with each result: ./handlers/invoice.ts',
  }),
  FORWARD_URL: optional((text) => webUrl(text, { query: true, called: true }), {
    group: 'Your code',
    doc: 'A service of yours that receives each result’s record by POST, instead of HANDLER. Calls are signed with FORWARD_SECRET: verify them with the svix library. http only to loopback and private hosts.',
  }),
  FORWARD_SECRET: secret(signingSecrets(MAKE_SECRET), {
    secretParts: separated,
    group: 'Your code',
    doc: 'Signs the calls to FORWARD_URL. Create one with: echo "whsec_$(openssl rand -base64 24)"',
  }),
  HANDLER_TIMEOUT: setting(handlerTimeout, {
    default: '60s',
    group: 'Your code',
    doc: 'The time limit of one call, and of loading the module.',
  }),
  HANDLER_RETRY_FOR: setting(parseDuration, {
    default: '7d',
    group: 'Your code',
    doc: 'How long handing over a saved result is retried.',
  }),
  WORKER_CONCURRENCY: setting(wholeNumber(0, 256), {
    default: '8',
    group: 'The worker',
    doc: 'The number of jobs fetched and saved at once, and of results handed over at once. 0: this process only receives.',
  }),
  FETCH_RETRY_FOR: setting(parseDuration, {
    default: '12h',
    group: 'The worker',
    doc: 'How long fetching a job is retried. Reducto keeps results for about 12 hours.',
  }),
  RECONCILE_EVERY: setting(reconcileEvery, {
    default: '15m',
    group: 'The worker',
    doc: 'How often registered jobs are looked after whose webhook is overdue, from 1m to 2h, or off. While nothing is missed the pause grows to four times as long.',
  }),
  MAX_RESULT_BYTES: setting(parseBytes, {
    default: '10gb',
    group: 'The worker',
    doc: 'The maximum size of one job’s result.',
  }),
  MIN_FREE_DISK: setting(parseBytes, {
    default: '256mb',
    group: 'The worker',
    doc: 'With less free disk space the worker pauses; deliveries are still accepted.',
  }),
  SHUTDOWN_GRACE: setting(shutdownGrace, {
    default: '8s',
    group: 'The process',
    doc: 'The time for running jobs to end after SIGTERM. Docker kills after 10 s.',
  }),
  LOG_LEVEL: setting(oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']), {
    default: 'info',
    group: 'The process',
    doc: 'fatal, error, warn, info, debug, trace or silent',
  }),
} as const

export type SettingName = keyof typeof SETTINGS
export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]
export type SettingValue<N extends SettingName> = ReturnType<(typeof SETTINGS)[N]['parse']>
