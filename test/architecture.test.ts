import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Imports flow one way. Each room names what it may import; a file that is not in a room is one itself. */

const SRC = resolve(import.meta.dirname, '../src')

/** Files without a room that anybody may use: they know nothing of the service. */
const GROUND = [
  'backoff.ts',
  'blocked-ports.ts',
  'causes.ts',
  'claims.ts',
  'clock.ts',
  'error-text.ts',
  'events.ts',
  'exact-json.ts',
  'explain-error.ts',
  'fsync.ts',
  'job.ts',
  'log.ts',
  'permissions.ts',
  'retry-after.ts',
  'scrub.ts',
  'signals.ts',
  'signing.ts',
  'units.ts',
]
const PORTS = ['inbox/inbox.ts', 'results/results.ts', 'results/record.ts', 'results/lines.ts', 'handler/hand-over.ts']

const MAY_IMPORT: Record<string, readonly string[]> = {
  'backoff.ts': [],
  'blocked-ports.ts': [],
  'causes.ts': [],
  'claims.ts': [],
  'clock.ts': [],
  'credentials.ts': [],
  'decoded-text.ts': [],
  'error-text.ts': ['causes.ts'],
  'events.ts': ['job.ts'],
  'exact-json.ts': [],
  'explain-error.ts': ['causes.ts'],
  'fsync.ts': [],
  'job.ts': ['backoff.ts', 'scrub.ts'],
  'log.ts': ['error-text.ts', 'events.ts', 'scrub.ts'],
  'permissions.ts': [],
  'retry-after.ts': [],
  'scrub.ts': ['credentials.ts', 'decoded-text.ts', 'secret-forms.ts'],
  'secret-forms.ts': ['decoded-text.ts'],
  'signals.ts': [],
  'signing.ts': [],
  'units.ts': [],
  settings: ['blocked-ports.ts', 'units.ts', 'scrub.ts', 'permissions.ts', 'settings'],
  receive: [...GROUND, ...PORTS, 'receive'],
  // What Reducto's answers look like: it knows no port.
  answer: [...GROUND, 'answer'],
  worker: [...GROUND, ...PORTS, 'worker', 'reducto', 'answer', 'download'],
  download: [...GROUND, 'download', 'outbound'],
  outbound: [...GROUND, 'outbound'],
  inbox: [...GROUND, 'inbox'],
  results: [...GROUND, 'results'],
  handler: [...GROUND, ...PORTS, 'handler', 'answer'],
  reducto: [...GROUND, 'reducto', 'outbound'],
  // What an operator can do, behind every face: no printing, no HTTP.
  operations: [...GROUND, ...PORTS, 'operations'],
  http: [...GROUND, ...PORTS, 'operations', 'http', 'receive', 'handler/links.ts'],
  simulator: [...GROUND, 'simulator'],
  'compose.ts': ['*'],
  cli: ['*'],
  'main.ts': ['*'],
}

/** Packages and globals that only one place may touch. */
const ONLY: [what: RegExp, where: RegExp, why: string][] = [
  [/from 'express'/, /^http\//, 'Express stays at the edge'],
  [
    /from 'reductoai/,
    /^(reducto\/|cli\/|answer\/types\.ts$|handler\/handler\.ts$)/,
    'the SDK has one door; the demo uses it as a user would, and handlers see its types',
  ],
  [/@aws-sdk/, /^results\/s3\//, 'S3 stays in its store, which is loaded when it is used'],
  [/from '\.\/s3\.ts'/, /^results\/open\.ts$/, 'for its options alone'],
  [/from 'node:sqlite'/, /^inbox\/sqlite\//, 'SQL stays in its store'],
  [/from 'undici'/, /^(outbound|download)\//, 'what leaves for a host of others has one way out'],
  [
    /process\.env/,
    /^(settings\/environment\.ts|bin\.js|results\/s3\/home\.ts)$/,
    'settings have one reader; the entry sets one variable of Node’s',
  ],
  [/process\.exit\(/, /^(main\.ts|bin\.js)$/, 'one place ends the process'],
]

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[jt]s$/.test(file))

function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), 'utf8')
  const found = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, path]) => path!)
  return found.map((path) => relative(SRC, resolve(SRC, dirname(file), path)))
}

function roomOf(file: string): string {
  return file.includes('/') ? file.split('/')[0]! : file
}

describe('imports flow one way', () => {
  it.each(files.filter((file) => file !== 'bin.js'))('%s', (file) => {
    const allowed = MAY_IMPORT[roomOf(file)]
    expect(allowed, 'a new room or file needs its arrows here').toBeDefined()
    for (const target of importsOf(file)) {
      if (allowed!.includes('*') || target.startsWith('..')) continue
      expect(
        allowed!.some((may) => target === may || target.startsWith(`${may}/`)),
        `${file} may not import ${target}`,
      ).toBe(true)
    }
  })

  it('only main and the command line know compose', () => {
    const users = files.filter((file) => importsOf(file).includes('compose.ts'))
    expect(users.every((file) => roomOf(file) === 'cli' || file === 'main.ts')).toBe(true)
    expect(users.length).toBeGreaterThan(0)
  })

  it.each(ONLY)('%s', (what, where) => {
    const users = files.filter((file) => what.test(readFileSync(join(SRC, file), 'utf8')))
    expect(users.length).toBeGreaterThan(0)
    expect(users.filter((file) => !where.test(file))).toEqual([])
  })
})

it('what the service imports is there in production too', () => {
  const { dependencies } = JSON.parse(readFileSync(resolve(SRC, '../package.json'), 'utf8'))
  const packages = files.flatMap((file) => {
    const text = readFileSync(join(SRC, file), 'utf8')
    return [...text.matchAll(/(?:from|import\()\s*'([^'.][^']*)'/g)].map(([, name]) => name!)
  })
  const names = packages.filter((name) => !name.startsWith('node:')).map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)![0])
  expect(new Set(names)).toEqual(new Set(Object.keys(dependencies)))
})
