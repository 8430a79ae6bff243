import { execFileSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isBlockedPort } from '../../src/blocked-ports.ts'
import { loadConfig, SettingsError } from '../../src/settings/config.ts'
import { SETTING_NAMES, SETTINGS } from '../../src/settings/settings.ts'
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

describe('what a container engine keeps of a line in .env is refused, never part of a value', () => {
  const good: Record<string, string> = {
    PORT: '3000',
    HOST: '127.0.0.1',
    DATABASE_URL: 'sqlite:x.db',
    RESULTS_URL: 'file:./data/results',
    HANDLER: './handlers/a.ts',
    PUBLIC_URL: 'https://r.example',
    REDUCTO_BASE_URL: 'https://r.example',
    REDUCTO_ENVIRONMENT: 'eu',
    LOG_LEVEL: 'info',
    RETENTION: '100d',
    MAX_RESULT_BYTES: '10gb',
  }
  const spoilt: [string, (value: string) => string][] = [
    ['a comment', (value) => `${value}  # note`],
    ['a comment after a tab', (value) => `${value}\t# note`],
    ['double quotes', (value) => `"${value}"`],
    ['single quotes', (value) => `'${value}'`],
    ['one quote', (value) => `${value}"`],
    ['spaces at the end', (value) => `${value}  `],
    ['a space at the start', (value) => ` ${value}`],
    ['a carriage return', (value) => `${value}\r`],
    ['a line break', (value) => `${value}\n`],
    ['a byte order mark', (value) => `\ufeff${value}`],
    ['a variable', (value) => `${value}$${'{X}'}`],
  ]
  it.each(Object.keys(good).flatMap((name) => spoilt.map(([what]) => [name, what] as const)))(
    '%s with %s',
    (name, what) => {
      const value = spoilt.find(([one]) => one === what)![1](good[name]!)
      expect(problems({ [name]: good[name] })).toEqual([])
      expect(problems({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name}: must `))])
    },
  )

  it.each(['TRUST_PROXY', 'DOWNLOAD_ALLOW_PRIVATE_HOSTS'])('%s is a list, where only spaces are harmless', (name) => {
    for (const value of ['loopback ', ' loopback\n']) expect(problems({ [name]: value })).toEqual([])
    for (const value of ['loopback # note', '"loopback"', "'loopback", '\ufeff#loopback'])
      expect(problems({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name}: must `))])
  })

  it.each([
    'sqlite:x.db?mode=ro',
    'sqlite:x.db#note',
    'sqlite:"x.db"',
    'sqlite: x.db',
    'sqlite::memory:',
    'sqlite:./data/',
    'sqlite:~/x.db',
  ])('DATABASE_URL=%s', (value) => {
    expect(problems({ DATABASE_URL: value })).toEqual([expect.stringMatching(/^DATABASE_URL: /)])
  })

  it.each([
    'file:./x?y=1',
    'file:./x#y',
    "file:'x'",
    'file:~/x',
    's3://results?region="eu"',
    's3://results/a%zz',
    's3://results/a b',
  ])('RESULTS_URL=%s', (value) => {
    expect(problems({ RESULTS_URL: value })).toEqual([expect.stringMatching(/^RESULTS_URL: /)])
  })
})

describe('a prefix in a bucket that does not read the same to everybody is refused, with what to do', () => {
  const kinds: [cure: RegExp, prefixes: readonly string[]][] = [
    [
      /without \. and \.\. as parts: write the resolved path/,
      ['..', '../x', 'a/../x', 'a/..', '.', './a', 'a/.', 'a/./b'],
    ],
    [/one \/ between two parts/, ['/', '/a', 'a//b', 'a//', '//', 'a///b']],
    [/without a backslash: separate/, ['\\', '..\\x', 'a\\b', 'a\\..\\b']],
    [
      /without escapes other than %20 for a space/,
      ['%2e%2e/x', '%2E', 'a%2Fb', 'a%2f..', 'a%5Cb', 'a%00', 'a%252e', '%41', 'a%zz', 'a%', 'a%3Fb', 'a%0a', '%c3%bc'],
    ],
  ]
  it.each(kinds.flatMap(([cure, prefixes]) => prefixes.map((prefix) => [prefix, cure] as const)))(
    '%s',
    (prefix, cure) => {
      for (const more of ['', '?region=eu-central-1']) {
        const [problem, ...others] = problems({ RESULTS_URL: `s3://results/${prefix}${more}` })
        expect(problem).toMatch(/^RESULTS_URL: must have a prefix without/)
        expect(problem).toMatch(cure)
        expect(others).toEqual([])
      }
    },
  )

  it.each([
    '',
    '/',
    '/a',
    '/a/',
    '/a/b.c/..d/e..',
    '/ü',
    '/a%20b',
    '/team=a/x+y',
    '/a?endpoint=http://minio:9000/%2e/',
  ])('s3://results%s is taken', (path) => expect(problems({ RESULTS_URL: `s3://results${path}` })).toEqual([]))
})

describe('what the kernel makes up keeps nothing', () => {
  const up = '../'.repeat(40)
  it.each([
    '/proc',
    '/proc/x',
    '/proc/self/fd/x',
    '/sys/x',
    '/dev/shm/x',
    '/dev/null',
    '//proc/x',
    '/tmp/../proc/x',
    `${up}dev/x`,
    '/./sys//x',
  ])('%s', (path) => {
    const told = (name: string) =>
      new RegExp(`^${name}: (?:lies in /(?:proc|sys|dev), .*name a path on a disk|must be )`)
    expect(problems({ DATABASE_URL: `sqlite:${path}` })).toEqual([expect.stringMatching(told('DATABASE_URL'))])
    expect(problems({ RESULTS_URL: `file:${path}` })).toEqual([expect.stringMatching(told('RESULTS_URL'))])
  })
  it.each(['/procs/x', './proc/x', '/device/x', '/data/dev/x'])('%s is no such path', (path) => {
    expect(problems({ DATABASE_URL: `sqlite:${path}`, RESULTS_URL: `file:${path}` })).toEqual([])
  })
})

describe('what was given is told, but no secret of it', () => {
  it('for a setting that is none', () => {
    expect(problems({ PORT: '99999' })).toEqual(['PORT: must be a whole number from 0 to 65535; given: "99999"'])
  })

  it.each([
    ['DATABASE_URL', 'postgres://user:hunter2-sentinel@db'],
    ['DATABASE_URL', 'postgres:/user:hunter2-sentinel@db/x'],
    ['RESULTS_URL', 's3://key:hunter2-sentinel@results'],
    ['FORWARD_URL', 'http://app.example/?token=hunter2-sentinel'],
    ['REDUCTO_BASE_URL', 'https://a:hunter2-sentinel@b'],
    ['PORT', SECRET],
    ['LOG_LEVEL', 'key-123456789'],
  ])('%s=%s', (name, value) => {
    const text = problems({ [name]: value }).join('\n')
    expect(text).toMatch(name)
    for (const sentinel of ['sentinel', SECRET.slice(6), 'key-123456789']) expect(text).not.toContain(sentinel)
  })

  const secrets = [
    ...SETTING_NAMES.filter((name) => SETTINGS[name].secret),
    'SVIX_WEBHOOK_SECRET',
    'SVIX_WEBHOOK_SECRET_DEV',
  ]
  it.each(secrets)('%s, and its file if that is the secret itself', (name) => {
    for (const value of [
      'sentinel',
      `whsec_${'sentinel'.repeat(8)}`,
      'sentinel/'.repeat(1000),
      `/sentinel/${SECRET}`,
      'sentinel with "quotes"',
      'http://user:sentinel@proxy/path?x',
      'sentinel\0',
    ]) {
      for (const given of [{ [name]: value }, { [name]: '', [`${name}_FILE`]: value }])
        expect(problems(given).join('\n')).not.toContain('sentinel')
      expect(problems({ [name]: '', [`${name}_FILE`]: value })[0]).toMatch(new RegExp(`^${name}_FILE: `))
    }
  })

  it.each([
    ['a folder', (path: string) => path, 'EISDIR'],
    ['an empty file', (path: string) => write(join(path, 'a'), '\n'), 'is empty'],
    ['a file of UTF-16', (path: string) => write(join(path, 'b'), Buffer.from('\ufeffkey', 'utf16le')), 'UTF-8'],
    ['a device', () => '/dev/zero', 'a device'],
    ['a pipe that nobody writes to', (path: string) => pipe(join(path, 'c')), 'a pipe'],
    ['a link to such a pipe', (path: string) => linkTo(pipe(join(path, 'd'))), 'a pipe'],
    ['a file that is too large', (path: string) => write(join(path, 'e'), 'x'.repeat(64 * 1024 + 1)), 'EFBIG'],
  ])('%s as a file is told', (_what, make, why) => {
    expect(problems({ REDUCTO_API_KEY: '', REDUCTO_API_KEY_FILE: make(tempFolder()) })).toEqual([
      expect.stringMatching(`^REDUCTO_API_KEY_FILE: .*${why}`),
    ])
  })
})

function pipe(path: string): string {
  execFileSync('mkfifo', [path])
  return path
}

function linkTo(path: string): string {
  symlinkSync(path, `${path}-link`)
  return `${path}-link`
}

function write(path: string, content: string | Buffer): string {
  writeFileSync(path, content)
  return path
}

describe('HOST', () => {
  it.each(['0.0.0.0', '::', '::1', '127.0.0.1', 'localhost', 'receiver-1.internal', 'fe80::1%eth0'])('%s', (host) => {
    expect(loadConfig({ ...base, HOST: host }).host).toBe(host)
  })
  it('[::] is taken without its brackets', () => expect(loadConfig({ ...base, HOST: '[::]' }).host).toBe('::'))
  it.each(['0.0.0.0:3000', 'http://localhost', '300.1.2.3', '1.2.3', '*', 'two words', '-x', 'a..b', '10.0.0.0/8'])(
    'refuses %s',
    (host) => expect(problems({ HOST: host })).toEqual([expect.stringMatching(/^HOST: must be an address/)]),
  )
})

describe('TRUST_PROXY, as Express takes it', () => {
  it.each([
    ['true', true],
    ['false', false],
    ['off', false],
    ['0', 0],
    ['2', 2],
    ['loopback', ['loopback']],
    ['loopback, 10.0.0.0/8 fd00::/8', ['loopback', '10.0.0.0/8', 'fd00::/8']],
    ['10.0.0.0/255.0.0.0', ['10.0.0.0/255.0.0.0']],
  ])('%s', (text, value) => {
    const { trustProxy } = loadConfig({ ...base, TRUST_PROXY: text })
    expect(trustProxy).toEqual(value)
    // Express itself must take it, or it throws at the first request.
    const { compileTrust } = createRequire(import.meta.url)('../../node_modules/express/lib/utils.js')
    expect(() => compileTrust(typeof trustProxy === 'object' ? [...trustProxy] : trustProxy)).not.toThrow()
  })
  it.each([
    'yes',
    '-1',
    '99',
    '1.5',
    '10.0.0.0/33',
    '10.0.0.0/0',
    'fd00::/129',
    '10.0.0.0/255.0.255.0',
    'proxy.internal',
    'loopback;x',
    ',',
  ])('refuses %s', (text) =>
    expect(problems({ TRUST_PROXY: text })).toEqual([expect.stringMatching(/^TRUST_PROXY: must be true/)]),
  )
})

describe('proxies, as everybody reads them', () => {
  it.each([
    [{}, { https: null, http: null, no: '' }],
    [{ HTTPS_PROXY: 'http://proxy:3128' }, { https: 'http://proxy:3128/', http: null, no: '' }],
    [
      { https_proxy: 'proxy:3128', HTTPS_PROXY: 'proxy:3128' },
      { https: 'http://proxy:3128/', http: null, no: '' },
    ],
    [
      { https_proxy: '', HTTPS_PROXY: 'https://[fd00::1]:1' },
      { https: 'https://[fd00::1]:1/', http: null, no: '' },
    ],
    [
      { http_proxy: 'http://u:p%40ss@p/', no_proxy: 'localhost, .internal *' },
      { https: null, http: 'http://u:p%40ss@p/', no: 'localhost,.internal,*' },
    ],
  ])('%j', (env, proxy) => {
    expect(loadConfig({ ...base, ...env }).proxy).toEqual(proxy)
  })

  it.each([
    [{ ALL_PROXY: 'http://a' }, { https: 'http://a/', http: 'http://a/', no: '' }],
    [
      { all_proxy: 'a:3128', NO_PROXY: 'x' },
      { https: 'http://a:3128/', http: 'http://a:3128/', no: 'x' },
    ],
    [
      { ALL_PROXY: 'http://a', http_proxy: 'http://b' },
      { https: 'http://a/', http: 'http://b/', no: '' },
    ],
    [
      { all_proxy: 'http://a', HTTPS_PROXY: 'http://b' },
      { https: 'http://b/', http: 'http://a/', no: '' },
    ],
    [
      { ALL_PROXY: 'socks5://a', HTTPS_PROXY: 'http://b', http_proxy: 'http://c' },
      { https: 'http://b/', http: 'http://c/', no: '' },
    ],
  ])('ALL_PROXY for what has none of its own: %j', (env, proxy) => {
    expect(loadConfig({ ...base, ...env }).proxy).toEqual(proxy)
  })

  const NAMES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']

  it.each(NAMES)('%s with a % that begins no escape is told, with the cure and without its value', (name) => {
    for (const user of ['u:senti%nel', 'u:sentinel%', 'u:%zzsentinel', 'senti%:p', 'u:%ffsentinel', 'u:%c3%28sentinel'])
      expect(problems({ [name]: `http://${user}@proxy:3128` })).toEqual([
        expect.stringMatching(new RegExp(`^${name.toUpperCase()}: (?!.*senti).*write %25 for a %$`)),
      ])
    expect(problems({ [name]: 'http://u:100%25@proxy:3128' })).toEqual([])
  })

  it.each(NAMES)('%s of SOCKS is told, with the cure and without its value', (name) => {
    for (const scheme of ['socks', 'socks4', 'socks4a', 'socks5', 'socks5h', 'SOCKS5'])
      expect(problems({ [name]: `${scheme}://u:sentinel@proxy:1080` })).toEqual([
        expect.stringMatching(
          new RegExp(`^${name.toUpperCase()}: is a SOCKS proxy.*not supported: name an HTTP proxy`),
        ),
      ])
  })

  it.each(['u:a/sentinel', 'u:1/sentinel', 'u:a?sentinel', 'u:1#sentinel'])(
    'a password %s is told with its cure',
    (user) => {
      const [problem] = problems({ HTTPS_PROXY: `http://${user}@proxy:3128` })
      expect(problem).toMatch(/^HTTPS_PROXY: must be .*%2F for \//)
      expect(problem).not.toContain('sentinel')
    },
  )

  it.each(['http://', 'http://proxy/path', 'http://proxy?x=1', 'proxy:99999', 'two words', 'http://pro xy'])(
    'refuses %s, without showing it',
    (value) => {
      expect(problems({ HTTPS_PROXY: value })).toEqual([expect.stringMatching(/^HTTPS_PROXY: must be/)])
      expect(problems({ http_proxy: value }).join()).toMatch(/^HTTP_PROXY: must be/)
    },
  )

  it.each(['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'])(
    '%s that differs from its small form is told, with both',
    (name) => {
      const small = name.toLowerCase()
      expect(problems({ [name]: 'sentinel-a', [small]: 'sentinel-b' })).toEqual([
        `${name}: set either this or ${small}, or both to the same value: they differ`,
      ])
    },
  )

  it('small letters beside a file are told, with both', () => {
    expect(problems({ https_proxy: 'proxy', HTTPS_PROXY_FILE: '/nowhere' })).toEqual([
      'HTTPS_PROXY_FILE: set either this or https_proxy, not both',
    ])
  })

  it('have credentials that are secrets, and hosts that are none', () => {
    const { secrets } = loadConfig({ ...base, https_proxy: 'http://user:p%40ssword@proxy.internal:3128' })
    expect(secrets).toEqual(
      expect.arrayContaining([
        'user:p@ssword',
        'p@ssword',
        'p%40ssword',
        Buffer.from('user:p@ssword').toString('base64'),
      ]),
    )
    expect(secrets.join()).not.toContain('proxy.internal')
  })
})

describe('DOWNLOAD_ALLOW_PRIVATE_HOSTS', () => {
  it('has names and addresses, each maybe with a port, in the form of URLs', () => {
    const text = 'MinIO:9000, 10.0.0.5 [FD00:0::1]:9000,fd00::2\n[::1] storage.internal 10.0.0.6:80'
    expect(loadConfig({ ...base, DOWNLOAD_ALLOW_PRIVATE_HOSTS: text }).allowPrivateHosts).toEqual(
      new Set(['minio:9000', '10.0.0.5', '[fd00::1]:9000', 'fd00::2', '::1', 'storage.internal', '10.0.0.6:80']),
    )
  })
  it.each([
    'http://minio',
    'minio:0',
    'minio:65536',
    'minio:',
    '[minio]',
    '[10.0.0.1]:80',
    'user@minio',
    'minio/bucket',
    '10.0.0.0/8',
    '*',
    '1.2.3',
  ])('refuses %s', (value) =>
    expect(problems({ DOWNLOAD_ALLOW_PRIVATE_HOSTS: value })).toEqual([
      expect.stringMatching(/^DOWNLOAD_ALLOW_PRIVATE_HOSTS: must be host names/),
    ]),
  )
})

describe('ports that fetch does not call', () => {
  it('are those of the installed undici', () => {
    const { badPortsSet } = createRequire(import.meta.url)('../../node_modules/undici/lib/web/fetch/constants.js')
    const ours = Array.from({ length: 65_536 }, (_, port) => port).filter((port) =>
      isBlockedPort(`http://app:${port}/`),
    )
    expect(ours.map(String)).toEqual([...badPortsSet])
  })

  it.each(['http://app:6666/hook', 'http://app:0/', 'https://app.example:10080/', 'http://localhost:25'])(
    'refuse %s',
    (url) => {
      const forward = { FORWARD_URL: url, FORWARD_SECRET: SECRET, PUBLIC_URL: 'https://r.example' }
      expect(problems(forward)).toEqual([expect.stringMatching(/^FORWARD_URL: must have another port/)])
      expect(problems({ REDUCTO_BASE_URL: url })).toEqual([
        expect.stringMatching(/^REDUCTO_BASE_URL: must have another port/),
      ])
    },
  )
})
