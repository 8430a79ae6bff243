import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig, SettingsError } from '../../src/settings/config.ts'
import { exampleFile } from '../../src/settings/example.ts'
import { withSettings } from '../../src/settings/page.ts'
import { SETTING_NAMES } from '../../src/settings/settings.ts'
import { newSecret } from '../../src/signing.ts'
import { tempFolder } from '../support/temp.ts'

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

describe('defaults', () => {
  it('are those of the contract', () => {
    expect(loadConfig(base)).toEqual({
      host: '0.0.0.0',
      port: 3000,
      publicUrl: null,
      trustProxy: false,
      endpoints: new Map([['default', [SECRET]]]),
      directToken: null,
      admin: null,
      alerts: null,
      adminPort: null,
      hidesContent: false,
      reducto: { apiKey: 'key-123456789', baseUrl: 'https://platform.reducto.ai' },
      database: { kind: 'sqlite', path: './data/receiver.db' },
      results: { kind: 'file', path: './data/results' },
      handler: null,
      handlerTimeout: 60_000,
      handlerRetryFor: 7 * 86_400_000,
      concurrency: 8,
      fetchRetryFor: 12 * 3_600_000,
      reconcileEvery: 900_000,
      retention: 100 * 86_400_000,
      bodyRetention: 100 * 86_400_000,
      resultsRetention: null,
      maxResultBytes: 10 * 1024 ** 3,
      minFreeDisk: 256 * 1024 ** 2,
      allowPrivateHosts: new Set(),
      proxy: { https: null, http: null, no: '' },
      shutdownGrace: 8_000,
      logLevel: 'info',
      secrets: [SECRET, 'key-123456789'],
    })
  })

  it('hold for empty values too, as container engines pass them', () => {
    expect(loadConfig({ ...base, PORT: '', DIRECT_WEBHOOK_TOKEN: '', RETENTION: '' })).toEqual(loadConfig(base))
  })
})

describe('all problems are told at once, by name', () => {
  it('with what to do', () => {
    expect(problems({ SVIX_WEBHOOK_SECRET: '', REDUCTO_API_KEY: undefined, PORT: 'abc', RETENTION: '30d' })).toEqual([
      expect.stringMatching(/^SVIX_WEBHOOK_SECRET: is required; copy the signing secret/),
      expect.stringMatching(/^REDUCTO_API_KEY: is required; create a key/),
      expect.stringMatching(/^PORT: must be a whole number from 0 to 65535; given: "abc"$/),
      expect.stringMatching(/^RETENTION: must be at least 90d/),
    ])
  })

  it.each([
    ['PORT', '65536'],
    ['PORT', '1e3'],
    ['WORKER_CONCURRENCY', '-1'],
    ['FETCH_RETRY_FOR', '12'],
    ['FETCH_RETRY_FOR', 'soon'],
    ['MAX_RESULT_BYTES', '10 elephants'],
    ['LOG_LEVEL', 'loud'],
    ['REDUCTO_ENVIRONMENT', 'us'],
    ['REDUCTO_BASE_URL', 'http://reducto.example.com'],
    ['REDUCTO_BASE_URL', 'ftp://localhost'],
    ['REDUCTO_BASE_URL', 'https://user:password@reducto.example.com'],
    ['PUBLIC_URL', 'receiver.example.com'],
    ['DATABASE_URL', 'mysql://localhost/x'],
    ['DATABASE_URL', 'sqlite:'],
    ['RESULTS_URL', '/data/results'],
    ['RESULTS_URL', 's3:results'],
    ['RESULTS_URL', 's3://'],
    ['RESULTS_URL', 's3://key:secret@results'],
    ['RESULTS_URL', 's3://results?regoin=eu-central-1'],
    ['RESULTS_URL', 's3://results?endpoint=http://minio.example.com'],
    ['HANDLER_TIMEOUT', '10ms'],
    ['DIRECT_WEBHOOK_TOKEN', 'short'],
    ['DOWNLOAD_ALLOW_PRIVATE_HOSTS', 'http://minio'],
    ['SHUTDOWN_GRACE', '30d'],
    ['FETCH_RETRY_FOR', '999999999d'],
    ['RESULTS_RETENTION', 'never'],
    ['REDUCTO_API_KEY', '"key-123456789"'],
    ['REDUCTO_API_KEY', 'key 123456789'],
  ])('%s=%s', (name, value) => {
    expect(problems({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name}: `))])
  })

  it('refuses both REDUCTO_ENVIRONMENT and REDUCTO_BASE_URL', () => {
    expect(problems({ REDUCTO_ENVIRONMENT: 'eu', REDUCTO_BASE_URL: 'https://r.example.com' })).toHaveLength(1)
  })
})

describe('Reducto', () => {
  it.each([
    [{ REDUCTO_ENVIRONMENT: 'eu' }, 'https://eu.platform.reducto.ai'],
    [{ REDUCTO_ENVIRONMENT: 'au' }, 'https://au.platform.reducto.ai'],
    [{ REDUCTO_BASE_URL: 'https://reducto.example.com/v2/' }, 'https://reducto.example.com/v2'],
    [{ REDUCTO_BASE_URL: 'http://reducto:8080' }, 'http://reducto:8080'],
    [{ REDUCTO_BASE_URL: 'http://10.1.2.3' }, 'http://10.1.2.3'],
    [{ REDUCTO_BASE_URL: 'http://[::1]:9000' }, 'http://[::1]:9000'],
  ])('%j', (env, url) => {
    expect(loadConfig({ ...base, ...env }).reducto.baseUrl).toBe(url)
  })
})

describe('signing secrets', () => {
  const key = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`

  it('several for one endpoint, by spaces, commas or lines; several endpoints by name', () => {
    const secrets = [newSecret(), newSecret(), newSecret()]
    const config = loadConfig({
      ...base,
      SVIX_WEBHOOK_SECRET: ` ${secrets[0]},${secrets[1]}\n${secrets[2]} `,
      SVIX_WEBHOOK_SECRET_DEV2: SECRET,
    })
    expect(config.endpoints).toEqual(
      new Map([
        ['default', secrets],
        ['dev2', [SECRET]],
      ]),
    )
  })

  it.each(['SVIX_WEBHOOK_SECRETS', 'SVIX_WEBHOOK_SECRET_', 'SVIX_WEBHOOK_SECRETPROD'])(
    '%s is a slip, and told',
    (name) => {
      expect(problems({ [name]: SECRET })).toEqual([expect.stringContaining(`${name}: is not a setting`)])
      expect(problems({ SVIX_WEBHOOK_SECRET: '', [name]: SECRET })).toHaveLength(1)
    },
  )

  it('one named endpoint is enough', () => {
    const config = loadConfig({ REDUCTO_API_KEY: 'key-123456789', SVIX_WEBHOOK_SECRET_PROD: SECRET })
    expect([...config.endpoints.keys()]).toEqual(['prod'])
  })

  it.each([24, 75])('of %i bytes are taken', (bytes) => {
    expect(problems({ SVIX_WEBHOOK_SECRET: key(bytes) })).toEqual([])
  })

  it.each([
    ['too short', key(23), 'has a key of 23 bytes'],
    ['too long', key(76), 'has a key of 76 bytes'],
    ['without the prefix', key(24).slice(6), 'must begin with whsec_'],
    ['quoted', `"${key(24)}"`, 'must be without quotes'],
    ['cut off', key(24).slice(0, -1), 'is not canonical base64'],
    ['with stray characters', `${key(24)}AA`, 'is not canonical base64'],
    ['not base64', `whsec_${'*'.repeat(32)}`, 'is not canonical base64'],
    ['missing padding', key(25).replace(/=+$/, ''), 'is not canonical base64'],
  ])('%s are refused', (_name, secret, why) => {
    const [problem, ...more] = problems({ SVIX_WEBHOOK_SECRET: secret })
    expect(problem).toMatch(`SVIX_WEBHOOK_SECRET: ${why}`)
    expect(problem).toMatch('Svix dashboard')
    expect(problem).not.toContain(secret.slice(6, 26))
    expect(more).toEqual([])
  })

  it.each(['DEFAULT', 'DIRECT', 'lower', 'WITH_UNDERSCORE'])('an endpoint cannot be called %s', (name) => {
    expect(problems({ [`SVIX_WEBHOOK_SECRET_${name}`]: SECRET })).toEqual([
      expect.stringContaining(`SVIX_WEBHOOK_SECRET_${name}: `),
    ])
  })
})

describe('secrets from files', () => {
  it('drop one trailing newline', () => {
    const folder = tempFolder()
    const file = (name: string, content: string) => {
      writeFileSync(join(folder, name), content)
      return join(folder, name)
    }
    const dev = newSecret()
    const config = loadConfig({
      SVIX_WEBHOOK_SECRET_FILE: file('a', `${SECRET}\n`),
      SVIX_WEBHOOK_SECRET_DEV_FILE: file('b', dev),
      REDUCTO_API_KEY_FILE: file('c', 'key-from-file\r\n'),
      DIRECT_WEBHOOK_TOKEN_FILE: file('d', 'a-token-of-24-characters'),
    })
    expect(config).toMatchObject({ directToken: 'a-token-of-24-characters', reducto: { apiKey: 'key-from-file' } })
    expect(config.endpoints).toEqual(
      new Map([
        ['default', [SECRET]],
        ['dev', [dev]],
      ]),
    )
    expect(problems({ REDUCTO_API_KEY: '', REDUCTO_API_KEY_FILE: file('e', 'two\n\n') })).toHaveLength(1)
  })

  it('tell a file that cannot be read, and a setting that is given twice', () => {
    expect(problems({ REDUCTO_API_KEY: '', REDUCTO_API_KEY_FILE: '/nowhere/key' })).toEqual([
      expect.stringMatching(/^REDUCTO_API_KEY_FILE: must be the path of a file .*ENOENT/),
    ])
    expect(problems({ REDUCTO_API_KEY_FILE: '/nowhere/key' })).toEqual([
      'REDUCTO_API_KEY_FILE: set either this or REDUCTO_API_KEY, not both',
    ])
  })
})

describe('the operator’s routes', () => {
  const WRITE = 'a-token-that-writes'
  const READ = 'a-token-that-reads-1'

  it('have tokens that write and tokens that read, several of each, also from files, and all of them are secrets', () => {
    const file = join(tempFolder(), 'read')
    writeFileSync(file, `${READ},another-that-reads\n`)
    const config = loadConfig({ ...base, ADMIN_TOKEN: `${WRITE} another-that-writes`, ADMIN_READ_TOKEN_FILE: file })
    const tokens = { write: [WRITE, 'another-that-writes'], read: [READ, 'another-that-reads'] }
    expect(config.admin).toEqual(tokens)
    expect(config.secrets).toEqual(expect.arrayContaining([...tokens.write, ...tokens.read]))
    expect(loadConfig({ ...base, ADMIN_TOKEN: WRITE, ADMIN_PORT: '9000' })).toMatchObject({ adminPort: 9000 })
  })

  it('have no port that Kubernetes sets for a Service called admin', () => {
    const injected = { ADMIN_PORT: 'tcp://10.0.0.1:80', ADMIN_SERVICE_HOST: '10.0.0.1', ADMIN_SERVICE_PORT: '80' }
    expect(loadConfig({ ...base, ...injected })).toMatchObject({ admin: null, adminPort: null })
    expect(loadConfig({ ...base, ...injected, ADMIN_TOKEN: WRITE })).toMatchObject({ adminPort: null })
  })

  it.each<[env: Record<string, string>, problem: string]>([
    [{ ADMIN_TOKEN: 'x'.repeat(15) }, 'ADMIN_TOKEN: must be of 16 to 1024 characters'],
    [{ ADMIN_TOKEN: `${WRITE},short` }, 'ADMIN_TOKEN: must be of 16 to 1024 characters'],
    [{ ADMIN_TOKEN: 'x'.repeat(1_025) }, 'ADMIN_TOKEN: must be of 16 to 1024 characters'],
    [{ ADMIN_TOKEN: `"${WRITE}"` }, 'ADMIN_TOKEN: must be of visible ASCII characters'],
    [{ ADMIN_TOKEN: 'ünter-sechzehn-ü-zeichen' }, 'ADMIN_TOKEN: must be of visible ASCII characters'],
    [{ ADMIN_TOKEN: ' , ' }, 'ADMIN_TOKEN: holds no token'],
    [{ ADMIN_READ_TOKEN: READ }, 'ADMIN_TOKEN: is required with ADMIN_READ_TOKEN'],
    [{ ADMIN_TOKEN: WRITE, ADMIN_READ_TOKEN: `${READ} ${WRITE}` }, 'ADMIN_READ_TOKEN: must be another token'],
    [{ ADMIN_PORT: '9000' }, 'ADMIN_TOKEN: is required with ADMIN_PORT'],
    [{ ADMIN_TOKEN: WRITE, ADMIN_PORT: '3000' }, 'ADMIN_PORT: must be another port than PORT'],
    [{ ADMIN_TOKEN: WRITE, ADMIN_PORT: '8080', PORT: '8080' }, 'ADMIN_PORT: must be another port than PORT'],
    [{ ADMIN_TOKEN: WRITE, ADMIN_PORT: 'tcp://admin' }, 'ADMIN_PORT: must be a whole number'],
  ])('%j is refused, without the token', (env, problem) => {
    const told = problems(env)
    expect(told).toEqual([expect.stringContaining(problem)])
    for (const token of Object.entries(env).flatMap(([name, value]) => (name.endsWith('TOKEN') ? [value] : [])))
      expect(told.join()).not.toContain(token)
  })
})

describe('where results go', () => {
  const resultsOf = (RESULTS_URL: string) => loadConfig({ ...base, RESULTS_URL }).results

  it('a bucket, maybe with a prefix, a region and an endpoint', () => {
    expect(resultsOf('s3://results')).toEqual({
      kind: 's3',
      bucket: 'results',
      prefix: '',
      region: null,
      endpoint: null,
    })
    expect(resultsOf('s3://my.bucket/a/b%20c/?region=eu-central-1&endpoint=http://minio:9000')).toEqual({
      kind: 's3',
      bucket: 'my.bucket',
      prefix: 'a/b c',
      region: 'eu-central-1',
      endpoint: 'http://minio:9000',
    })
  })

  it('with the credentials of the AWS SDK among what must not leave the process', () => {
    const aws = { AWS_SECRET_ACCESS_KEY: 'aws-secret', AWS_SESSION_TOKEN: 'aws-token' }
    expect(loadConfig({ ...base, ...aws }).secrets).toEqual(expect.arrayContaining(['aws-secret', 'aws-token']))
  })
})

describe('the user’s code', () => {
  const FORWARD = {
    FORWARD_URL: 'https://app.example/hook?t=1',
    FORWARD_SECRET: SECRET,
    PUBLIC_URL: 'https://r.example',
  }

  it('is a module, or a service', () => {
    expect(loadConfig({ ...base, HANDLER: './handlers/a.ts' }).handler).toEqual({
      kind: 'module',
      path: './handlers/a.ts',
    })
    const other = newSecret()
    expect(loadConfig({ ...base, ...FORWARD, FORWARD_SECRET: `${SECRET}, ${other}` })).toMatchObject({
      handler: { kind: 'forward', url: 'https://app.example/hook?t=1', secrets: [SECRET, other] },
      secrets: expect.arrayContaining([SECRET, other]),
    })
  })

  it.each([
    [{ ...FORWARD, HANDLER: './a.ts' }, 'FORWARD_URL: set either this or HANDLER'],
    [{ ...FORWARD, FORWARD_SECRET: '' }, 'FORWARD_SECRET: is required with FORWARD_URL'],
    [{ ...FORWARD, FORWARD_URL: '' }, 'FORWARD_URL: is required with FORWARD_SECRET'],
    [{ ...FORWARD, PUBLIC_URL: '' }, 'PUBLIC_URL: is required with FORWARD_URL'],
    [{ ...FORWARD, FORWARD_SECRET: 'whsec_short' }, 'FORWARD_SECRET: '],
    [{ ...FORWARD, FORWARD_URL: 'http://app.example/hook' }, 'FORWARD_URL: must be https://'],
    [{ ...FORWARD, FORWARD_URL: 'https://user:pass@app.example/' }, 'FORWARD_URL: must be without user name'],
  ])('%j is refused', (env, problem) => {
    expect(problems(env)).toEqual([expect.stringContaining(problem)])
  })

  it.each(['http://localhost:4000/hook', 'http://10.0.0.7/', 'http://app.internal/hook', 'http://app:4000'])(
    'may be reached by http on a private host: %s',
    (url) => {
      expect(problems({ ...FORWARD, FORWARD_URL: url })).toEqual([])
    },
  )
})

describe('a command needs only the settings it uses', () => {
  const broken = { REDUCTO_API_KEY: '', PORT: 'abc', DATABASE_URL: 'sqlite:x.db', SVIX_WEBHOOK_SECRET: SECRET }

  it('and is told of no others', () => {
    expect(loadConfig(broken, ['database'])).toEqual({
      database: { kind: 'sqlite', path: 'x.db' },
      secrets: [SECRET],
    })
    expect(loadConfig({ ...broken, DATABASE_URL: '?' }, ['endpoints'])).toEqual({
      endpoints: new Map([['default', [SECRET]]]),
      secrets: [SECRET],
    })
  })

  it('but of all problems with these', () => {
    expect(() => loadConfig({ ...broken, RESULTS_URL: '/x' }, ['port', 'results'])).toThrow(/PORT: .*\nRESULTS_URL: /)
  })

  it('and knows the secrets of all, to keep them out of what it prints', () => {
    expect(loadConfig({ ...base, DIRECT_WEBHOOK_TOKEN: 'a-token-of-24-characters' }, ['port']).secrets).toEqual(
      expect.arrayContaining([SECRET, 'key-123456789', 'a-token-of-24-characters']),
    )
  })
})

describe('BODY_RETENTION', () => {
  const DAY = 86_400_000

  it.each([
    [{}, 100],
    [{ BODY_RETENTION: '7d' }, 7],
    [{ BODY_RETENTION: '200d', RETENTION: '200d' }, 200],
    // Who only shortens RETENTION has not asked for more than that.
    [{ RETENTION: '90d' }, 90],
  ])('of %o is %i days', (env, days) => {
    expect(loadConfig({ ...base, ...env }).bodyRetention).toBe(days * DAY)
  })

  it.each([
    [{ BODY_RETENTION: '101d' }, 'BODY_RETENTION: must not be longer than RETENTION'],
    [{ BODY_RETENTION: '95d', RETENTION: '90d' }, 'BODY_RETENTION: must not be longer than RETENTION'],
    [{ BODY_RETENTION: 'forever' }, 'BODY_RETENTION: '],
  ])('of %o is refused', (env, problem) => {
    expect(() => loadConfig({ ...base, ...env })).toThrow(problem)
  })
})

describe('alerts', () => {
  const ALERT = { ALERT_URL: 'https://alerts.example/hook?key=abc', ALERT_SECRET: SECRET }

  it('go nowhere without a URL, and are signed with every secret', () => {
    expect(loadConfig(base).alerts).toBeNull()
    const other = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
    const { alerts, secrets } = loadConfig({ ...base, ...ALERT, ALERT_SECRET: `${SECRET} ${other}` })
    expect(alerts).toEqual({ url: ALERT.ALERT_URL, secrets: [SECRET, other] })
    // The address of a chat is a password.
    expect(secrets).toContain(ALERT.ALERT_URL)
  })

  it.each([
    [{ ...ALERT, ALERT_SECRET: '' }, 'ALERT_SECRET: is required with ALERT_URL'],
    [{ ...ALERT, ALERT_URL: '' }, 'ALERT_URL: is required with ALERT_SECRET'],
    [{ ...ALERT, ALERT_URL: 'http://alerts.example/' }, 'ALERT_URL: must be https://'],
    [{ ...ALERT, ALERT_SECRET: 'whsec_short' }, 'ALERT_SECRET: '],
  ])('%o is refused', (env, problem) => {
    expect(() => loadConfig({ ...base, ...env })).toThrow(problem)
  })
})

describe('.env.example', () => {
  const text = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
  const settings = [...text.matchAll(/^#? ?([A-Z][A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!] as const)

  it('is what the table of settings says (vitest -u writes it)', async () => {
    await expect(exampleFile()).toMatchFileSnapshot('../../.env.example')
  })

  it('has every setting, with the default that holds', () => {
    const names = settings.map(([name]) => name)
    expect(names.toSorted()).toEqual(
      [...SETTING_NAMES, 'SVIX_WEBHOOK_SECRET', 'SVIX_WEBHOOK_SECRET_DEVELOPMENT'].toSorted(),
    )
    const defaults = Object.fromEntries(settings.filter(([, value]) => value !== ''))
    delete defaults.REDUCTO_ENVIRONMENT
    expect(loadConfig({ ...base, ...defaults })).toEqual(loadConfig(base))
  })

  it('has no quotes and no trailing comments, which container engines would keep', () => {
    for (const [name, value] of settings) expect(value, name).not.toMatch(/["'#]/)
  })
})

describe('docs/settings.md', () => {
  const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8')

  it('has the tables that the table of settings makes (vitest -u writes them)', async () => {
    await expect(withSettings(page)).toMatchFileSnapshot('../../docs/settings.md')
  })

  it('names every setting once, in a row of its own', () => {
    const rows = [...withSettings(page).matchAll(/^\| `([A-Z_]+(?:<NAME>)?)` \|/gm)].map(([, name]) => name!)
    expect(rows.toSorted()).toEqual([...SETTING_NAMES, 'SVIX_WEBHOOK_SECRET', 'SVIX_WEBHOOK_SECRET_<NAME>'].toSorted())
  })

  it('cannot lose the place of the tables unnoticed', () => {
    expect(() => withSettings(page.replace('<!-- end of settings -->', ''))).toThrow(/needs the lines/)
  })
})
