import { parseBytes, parseDuration } from '../units.ts'
import { host, noProxy, privateHosts, proxyCredentials, proxyUrl, trustProxy } from './network.ts'
import {
  handlerTimeout,
  modulePath,
  oneOf,
  resultsRetention,
  retention,
  separated,
  shutdownGrace,
  wholeNumber,
} from './parsers.ts'
import { optional, requiredSecret, secret, setting } from './setting.ts'
import { adminTokens, apiKey, directToken, signingSecrets } from './signing-secrets.ts'
import { databaseUrl, resultsUrl } from './stores.ts'
import { webUrl } from './urls.ts'

const FROM_SVIX = 'copy the signing secret of this endpoint from the Svix dashboard'
const MAKE_SECRET = 'make one with: echo "whsec_$(openssl rand -base64 24)"'

/** The name that begins those of all endpoints' secrets. */
export const ENDPOINT_SECRET = 'SVIX_WEBHOOK_SECRET'

/** How an endpoint's secrets are read; each endpoint has a setting of its own. */
export const endpointSecrets = secret(signingSecrets(FROM_SVIX), {
  secretParts: separated,
  group: 'Required',
  doc: 'The signing secret of your endpoint, from the Svix dashboard (whsec_…). While one is rotated, give the old and the new one, separated by a space or comma.',
})

/**
 * Every setting apart from the endpoints' secrets, and the only list of them: `.env.example`, reading from files,
 * scrubbing and the search for slips are derived from it.
 */
export const SETTINGS = {
  REDUCTO_API_KEY: requiredSecret(apiKey, {
    required: 'is required; make a key in Reducto Studio (https://studio.reducto.ai) under API Keys',
    group: 'Required',
    doc: 'Your Reducto API key.',
  }),
  DIRECT_WEBHOOK_TOKEN: secret(directToken, {
    group: 'More endpoints',
    doc: 'Takes Reducto’s unsigned direct webhooks at /webhook/direct/<token>. At least 24 characters; openssl rand -hex 24',
  }),
  REDUCTO_ENVIRONMENT: setting(oneOf(['production', 'eu', 'au'], ' (for another address use REDUCTO_BASE_URL)'), {
    default: 'production',
    group: 'Reducto',
    doc: 'Where your account lives: production, eu or au.',
  }),
  REDUCTO_BASE_URL: optional((text) => webUrl(text, { called: true }), {
    group: 'Reducto',
    doc: 'Or the base URL of an on-premises installation.',
  }),
  DOWNLOAD_ALLOW_PRIVATE_HOSTS: setting(privateHosts, {
    list: true,
    default: '',
    group: 'Reducto',
    doc: 'Hosts on private addresses that results may be downloaded from (on-premises storage), each maybe with a port: minio:9000, [fd00::1]:9000, 10.0.0.5. Separated by spaces or commas.',
  }),
  HTTPS_PROXY: secret(proxyUrl, {
    secretParts: proxyCredentials,
    shared: true,
    group: 'Reducto',
    doc: 'A proxy for calls to https:// addresses (Reducto, downloads, forwards), http://user:password@proxy:3128, with %25 for a % in the password. Also in small letters. SOCKS is not supported.',
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
    doc: 'Hosts and domains that are called without the proxy: localhost,.internal,10.0.0.5',
  }),
  HOST: setting(host, {
    default: '0.0.0.0',
    group: 'Where it listens',
    doc: 'An address of this machine, or a name of it.',
  }),
  PORT: setting(wholeNumber(0, 65_535), {
    default: '3000',
    group: 'Where it listens',
    doc: 'The port. 0 takes any free one.',
  }),
  PUBLIC_URL: optional((text) => webUrl(text), {
    group: 'Where it listens',
    doc: 'Where the world reaches this service, for links to results and the hint at start: https://receiver.example.com',
  }),
  TRUST_PROXY: setting(trustProxy, {
    list: true,
    default: 'false',
    group: 'Where it listens',
    doc: 'Whose X-Forwarded-For is believed, for the addresses in the log: true, false, how many proxies stand in front, or their addresses and subnets (loopback, 10.0.0.0/8).',
  }),
  ADMIN_TOKEN: secret(adminTokens, {
    secretParts: separated,
    group: 'For operators',
    doc: 'Turns the operator’s routes on (/metrics), which take it as Authorization: Bearer. At least 16 characters; openssl rand -hex 24. While it is rotated, give the old and the new one, separated by a space or comma.',
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
  DATABASE_URL: setting(databaseUrl, {
    default: 'sqlite:./data/receiver.db',
    group: 'Where things are kept',
    doc: 'The database on a local disk: it does not work on a network file system.',
  }),
  RESULTS_URL: setting(resultsUrl, {
    default: 'file:./data/results',
    group: 'Where things are kept',
    doc: 'Results in a folder, or in a bucket: s3://BUCKET/PREFIX?region=REGION, for a store that is not Amazon’s with &endpoint=https://HOST. Credentials are found the AWS way (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a role).',
  }),
  RETENTION: setting(retention, {
    default: '100d',
    group: 'Where things are kept',
    doc: 'How long deliveries and finished jobs are remembered after their last activity. At least 90d: Svix can replay a delivery for that long, and a forgotten one would be new.',
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
    doc: 'Or a service of yours that each result’s record is posted to, signed with the secret: verify it with the svix library. http only to loopback and private hosts.',
  }),
  FORWARD_SECRET: secret(signingSecrets(MAKE_SECRET), {
    secretParts: separated,
    group: 'Your code',
    doc: 'Signs the calls to FORWARD_URL. Make one with: echo "whsec_$(openssl rand -base64 24)"',
  }),
  HANDLER_TIMEOUT: setting(handlerTimeout, {
    default: '60s',
    group: 'Your code',
    doc: 'How long one call may take, and loading the module.',
  }),
  HANDLER_RETRY_FOR: setting(parseDuration, {
    default: '7d',
    group: 'Your code',
    doc: 'How long a saved result is tried to be handed over.',
  }),
  WORKER_CONCURRENCY: setting(wholeNumber(0, 256), {
    default: '8',
    group: 'The worker',
    doc: 'Jobs fetched and saved at once, and as many results handed over at once. 0: this process only receives.',
  }),
  FETCH_RETRY_FOR: setting(parseDuration, {
    default: '12h',
    group: 'The worker',
    doc: 'How long a job is tried to be fetched. Reducto keeps results for about 12 hours.',
  }),
  MAX_RESULT_BYTES: setting(parseBytes, {
    default: '10gb',
    group: 'The worker',
    doc: 'The most that one job’s result may take.',
  }),
  MIN_FREE_DISK: setting(parseBytes, {
    default: '256mb',
    group: 'The worker',
    doc: 'With less free disk the worker pauses; deliveries are accepted all the same.',
  }),
  SHUTDOWN_GRACE: setting(shutdownGrace, {
    default: '8s',
    group: 'The process',
    doc: 'How long running jobs get after SIGTERM. Docker kills after 10 s.',
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
