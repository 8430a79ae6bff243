import { describe, expect, it } from 'vitest'
import { loadConfig, SettingsError } from '../../src/settings/config.ts'
import { SETTING_NAMES, SETTINGS } from '../../src/settings/settings.ts'
import { newSecret } from '../../src/signing.ts'

const SECRET = newSecret()
const base = { SVIX_WEBHOOK_SECRET: SECRET, REDUCTO_API_KEY: 'key-123456789' }

function problems(env: Record<string, string | undefined>): readonly string[] {
  try {
    loadConfig({ ...base, ...env })
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
  return []
}

describe('what Kubernetes sets for Services is no problem', () => {
  const injected = (service: string, [address, port] = ['10.43.7.1', '80']) => ({
    [`${service}_SERVICE_HOST`]: address,
    [`${service}_SERVICE_PORT`]: port,
    [`${service}_SERVICE_PORT_HTTP`]: port,
    [`${service}_PORT`]: `tcp://${address}:${port}`,
    [`${service}_PORT_${port}_TCP`]: `tcp://${address}:${port}`,
    [`${service}_PORT_${port}_TCP_PROTO`]: 'tcp',
    [`${service}_PORT_${port}_TCP_PORT`]: port,
    [`${service}_PORT_${port}_TCP_ADDR`]: address,
  })
  const services = ['HANDLER', 'FORWARD', 'RECEIVER', 'HOST', 'PORT', 'REDUCTO', 'RESULTS', 'DATABASE', 'TRUST_PROXY']
  const secrets = ['SVIX_WEBHOOK_SECRET', 'SVIX_WEBHOOK_SECRT', 'REDUCTO_API_KEY']
  it.each([...services, ...secrets])('for one called %s', (service) => {
    expect(problems(injected(service!))).toEqual([])
    expect(
      problems({ ...injected(service!, ['fd00::1', '8443']), [`${service}_PORT`]: 'tcp://[fd00::1]:8443' }),
    ).toEqual([])
  })

  it('and where it takes a name of ours, it is told what did', () => {
    expect(problems({ PORT: 'tcp://10.43.7.1:80' })).toEqual([
      expect.stringMatching(/^PORT: .*Kubernetes.*enableServiceLinks/),
    ])
  })
})

describe('a name within two letters of one of ours is a slip, and told with the name that was meant', () => {
  const long = SETTING_NAMES.filter((name) => name.length >= 9)
  it.each(long)('%s', (name) => {
    const middle = name.length >> 1
    const slips = [
      name.slice(0, middle) + name.slice(middle + 1),
      `${name}S`,
      `${name.slice(0, 2)}${name[3]}${name[2]}${name.slice(4)}`,
      `X${name.slice(1, -1)}X`,
      name.replaceAll('_', ''),
      name.replaceAll('_', '-'),
      `${name}XX`,
    ].filter((slip) => !SETTING_NAMES.includes(slip as never) && slip !== name)
    for (const slip of slips)
      expect(problems({ [slip]: 'x' }), slip).toEqual([
        expect.stringMatching(new RegExp(`^${slip}: is not a setting; did you mean `)),
      ])
  })

  it.each(SETTING_NAMES.filter((name) => SETTINGS[name].secret))('the file of %s', (name) => {
    expect(problems({ [`${name}_FIEL`]: '/x' })).toEqual([`${name}_FIEL: is not a setting; did you mean ${name}_FILE?`])
  })

  it.each([
    'SVIX_WEBHOOK_SECRT',
    'SVIX_WEBHOK_SECRET_PROD',
    'SIVX_WEBHOOK_SECRET',
    'SVIX_WEBHOOKS_SECRET_DEV',
    'SVIX_WEBHOOK_SERCET_FILE',
    'svix_webhook_secret',
  ])('%s', (name) =>
    expect(problems({ [name]: SECRET })).toEqual([
      expect.stringMatching(`^${name}: is not a setting; did you mean SVIX_WEBHOOK_SECRET`),
    ]),
  )

  it.each([
    'HANDLERS',
    'HANDLE',
    'HADNLER',
    'PROT',
    'POTR',
    'PPORT',
    'PORTT',
    'HSOT',
    'HOSST',
    'PRT',
    'HST',
    'reducto_api_key',
  ])('%s', (name) => {
    expect(problems({ [name]: 'x' })).toEqual([expect.stringMatching(`^${name}: is not a setting`)])
  })
})

describe('ordinary names are nobody’s slip', () => {
  // Of a login shell, a CI runner, container images, Heroku, Lambda, systemd, Docker, Nix.
  const ordinary = `PATH HOME HOSTNAME HOSTTYPE HOSTS GHOST POST PORTS PORT0 PORT1 SPORT SORT PWD OLDPWD SHELL SHLVL TERM LANG LC_ALL TZ
    USER LOGNAME MAIL EDITOR PAGER DISPLAY COLUMNS LINES TMPDIR TEMP XDG_RUNTIME_DIR SSH_AUTH_SOCK NODE_VERSION YARN_VERSION NODE_ENV
    NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED NODE_COMPILE_CACHE NO_COLOR FORCE_COLOR CI GITHUB_ACTIONS
    GITHUB_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_ENDPOINT_URL
    AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE GOOGLE_APPLICATION_CREDENTIALS npm_config_registry npm_package_name npm_lifecycle_event
    npm_config_https_proxy npm_config_noproxy INIT_CWD FTP_PROXY ftp_proxy ALL_PROXY all_proxy SOCKS_PROXY APT_PROXY api_proxy APP_PROXY SSL_PROXY AWS_PROXY SQL_PROXY MAIL_PROXY URL_PROXY http_proxy https_proxy no_proxy
    _ _HANDLER HANDLER_PATH INVOICES_DATABASE_URL TEST_DATABASE_URL POSTGRES_URL REDIS_URL PGHOST PGPORT PGUSER DATABASE_NAME DATABASE_USER
    DATABASE_HOST DATABASE_PORT KUBERNETES_SERVICE_HOST KUBERNETES_PORT POD_NAME POD_IP HOST_IP NODE_NAME DYNO WEB_CONCURRENCY
    SOURCE_VERSION INVOCATION_ID JOURNAL_STREAM NOTIFY_SOCKET LISTEN_FDS MEMORY_PRESSURE_WATCH SVIX_TOKEN SVIX_APP_ID SVIX_SERVER_URL
    REDUCTO_WEBHOOK_URL REDUCTO_PIPELINE_ID FORWARD_TO FORWARDED_ALLOW_IPS LOG_FORMAT LOG_FILE LOG_DIR PUBLIC_DIR PUBLIC_IP
    RUST_LOG DOCKER_HOST COMPOSE_PROJECT_NAME DOMAIN ADMIN_EMAIL CHAT_URL WORKER_COUNT UV_THREADPOOL_SIZE`
  it.each(ordinary.split(/\s+/))('%s', (name) => {
    expect(problems({ [name]: /proxy$/i.test(name) ? 'proxy' : 'value' })).toEqual([])
  })
})
