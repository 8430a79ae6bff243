import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Imports flow one way. Each room names what it may import; a file that is not in a room is one itself. */

const SRC = resolve(import.meta.dirname, '../src')

/** Files without a room that anybody may use: they know nothing of the service. */
const GROUND = [
  'actor.ts',
  'backoff.ts',
  'blocked-ports.ts',
  'causes.ts',
  'claims.ts',
  'clock.ts',
  'error-text.ts',
  'lossless-json.ts',
  'nearest.ts',
  'explain-error.ts',
  'fsync.ts',
  'job-cause.ts',
  'job.ts',
  'permissions.ts',
  'proof.ts',
  'purge.ts',
  'retry-after.ts',
  'telemetry/events.ts',
  'telemetry/log.ts',
  'telemetry/reasons.ts',
  'telemetry/scrub.ts',
  'signals.ts',
  'signing.ts',
  'units.ts',
  'version.ts',
]
const PORTS = [
  'inbox/inbox.ts',
  'inbox/fleet.ts',
  'inbox/expected.ts',
  'inbox/journal.ts',
  'results/results.ts',
  'results/record.ts',
  'results/lines.ts',
  'handler/hand-over.ts',
]

const MAY_IMPORT: Record<string, readonly string[]> = {
  'actor.ts': [],
  'backoff.ts': [],
  'blocked-ports.ts': [],
  'causes.ts': [],
  'claims.ts': ['job.ts'],
  'clock.ts': [],
  'error-text.ts': ['causes.ts'],
  'lossless-json.ts': [],
  'nearest.ts': [],
  'explain-error.ts': ['causes.ts'],
  'fsync.ts': [],
  'job-cause.ts': ['job.ts'],
  'purge.ts': [],
  'job.ts': ['backoff.ts', 'telemetry/scrub.ts'],
  'permissions.ts': [],
  'proof.ts': [],
  'retry-after.ts': [],
  'signals.ts': [],
  'signing.ts': [],
  'units.ts': [],
  'version.ts': [],
  settings: ['blocked-ports.ts', 'nearest.ts', 'units.ts', 'telemetry/scrub.ts', 'permissions.ts', 'settings'],
  telemetry: [...GROUND, 'telemetry'],
  // It tells people: what calls a service of the user's has the same limits everywhere.
  alerts: [...GROUND, 'alerts', 'handler/excerpt.ts', 'handler/time-limit.ts'],
  receive: [...GROUND, ...PORTS, 'receive'],
  // What Reducto's answers look like: it knows no port.
  answer: [...GROUND, 'answer'],
  worker: [...GROUND, ...PORTS, 'worker', 'reducto', 'answer', 'download', 'telemetry'],
  download: [...GROUND, 'download', 'outbound'],
  outbound: [...GROUND, 'outbound'],
  inbox: [...GROUND, 'inbox'],
  results: [...GROUND, 'results'],
  handler: [...GROUND, ...PORTS, 'handler', 'answer'],
  reducto: [...GROUND, 'reducto', 'outbound'],
  // Looks after jobs whose webhook does not come.
  reconcile: [...GROUND, ...PORTS, 'reconcile', 'reducto'],
  // What an operator can do, behind every face: no printing, no HTTP.
  operations: [...GROUND, ...PORTS, 'operations'],
  // What an operator sees: pages from view models, without HTTP and without a store.
  operator: [...GROUND, ...PORTS, 'operations', 'operator', 'handler/result-view.ts', 'handler/handler.ts'],
  http: [...GROUND, ...PORTS, 'operations', 'operator', 'http', 'receive', 'handler/links.ts', 'telemetry'],
  // What may be wrong, one file a check: it prints nothing, and knows no command.
  doctor: [...GROUND, ...PORTS, 'doctor', 'inbox/open.ts', 'outbound', 'reducto', 'results/open.ts', 'settings'],
  simulator: [...GROUND, 'simulator'],
  library: [...GROUND, 'library'],
  // Inbox, worker and results, wired; without a server, signals and an environment.
  'runtime.ts': ['*'],
  'compose-worker.ts': ['*'],
  'compose-doctor.ts': ['*'],
  'compose-upkeep.ts': ['*'],
  'compose-metrics.ts': ['*'],
  'compose-inbox.ts': ['*'],
  'compose-fleet.ts': ['*'],
  'compose-pages.ts': ['*'],
  'compose-reconcile.ts': ['*'],
  'compose-troubles.ts': ['*'],
  'compose-operator.ts': ['*'],
  // The service: the runtime with a server of its own.
  'compose.ts': ['*'],
  // The faces of the package.
  'index.ts': ['express.ts', 'library/expecting.ts', 'telemetry/events.ts', 'handler/handler.ts', 'settings/config.ts'],
  'express.ts': [
    ...GROUND,
    'telemetry',
    'runtime.ts',
    'library',
    'operations',
    'settings',
    'http/app.ts',
    'http/mount.ts',
    'handler/handler.ts',
    'handler/load-handler.ts',
  ],
  'testing.ts': [...GROUND, 'simulator'],
  cli: ['*'],
  'main.ts': ['*'],
}

/** Packages and globals that only one place may touch. */
const ONLY: [what: RegExp, where: RegExp, why: string][] = [
  [/from 'express'/, /^http\//, 'Express stays at the edge'],
  [/from 'hono/, /^operator\/html\.ts$/, 'HTML is escaped in one place'],
  [
    /from 'reductoai/,
    /^(reducto\/|cli\/|answer\/types\.ts$|handler\/handler\.ts$)/,
    'the SDK has one door; the demo uses it as a user would, and handlers see its types',
  ],
  [/from 'prom-client'/, /^telemetry\//, 'metrics are counted in one place'],
  [/@aws-sdk/, /^results\/s3\//, 'S3 stays in its store, which is loaded when it is used'],
  [/from '\.\/s3\.ts'/, /^results\/open\.ts$/, 'for its options alone'],
  [/from 'node:sqlite'/, /^inbox\/sqlite\//, 'SQL stays in its store'],
  [/from 'pg'/, /^inbox\/postgres\//, 'SQL stays in its store, which is loaded when it is used'],
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

/** The file and all that it imports, directly or not. */
function reachableFrom(file: string): readonly string[] {
  const found = new Set([file])
  for (const one of found) for (const target of importsOf(one)) if (files.includes(target)) found.add(target)
  return [...found]
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

  it('only the service and the library know the runtime, and nothing within knows a face of the package', () => {
    const usersOf = (target: string) => files.filter((file) => importsOf(file).includes(target)).toSorted()
    expect(usersOf('runtime.ts')).toEqual(['compose.ts', 'express.ts'])
    expect(usersOf('express.ts')).toEqual(['index.ts'])
    expect(usersOf('index.ts')).toEqual([])
    expect(usersOf('testing.ts')).toEqual([])
  })

  it.each(['index.ts', 'testing.ts'])('%s brings nothing along that changes the process of an app', (face) => {
    const brought = reachableFrom(face)
    expect(
      brought.filter((file) => file.startsWith('cli/') || ['main.ts', 'bin.js', 'compose.ts'].includes(file)),
    ).toEqual([])
    // The exception sets HOME where there is none, which the library refuses before.
    const changing = /process\.(env|umask|exit\(|chdir|once\(|on\(|setuid|title)|setFlagsFromString|enableCompileCache/
    const users = brought.filter((file) => changing.test(readFileSync(join(SRC, file), 'utf8')))
    expect(users.filter((file) => file !== 'results/s3/home.ts')).toEqual([])
  })

  it('a store of the inbox is known to what opens it alone', () => {
    const isStore = (file: string) => /^inbox\/(sqlite|memory|postgres)\//.test(file)
    const knows = (file: string) => importsOf(file).some((target) => isStore(target) && !isSameStore(file, target))
    const isSameStore = (file: string, target: string) => isStore(file) && file.split('/')[1] === target.split('/')[1]
    expect(files.filter(knows)).toEqual(['inbox/open.ts'])
  })

  it('no files import each other in a circle, but for what is loaded when it is called', () => {
    const loadedFirst = (file: string) =>
      [...readFileSync(join(SRC, file), 'utf8').matchAll(/from\s*'(\.[^']+)'/g)].map(([, path]) =>
        relative(SRC, resolve(SRC, dirname(file), path!)),
      )
    const circles: string[] = []
    const done = new Set<string>()
    function walk(file: string, path: readonly string[]): void {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
      if (path.includes(file) || done.has(file)) return
      for (const target of loadedFirst(file)) walk(target, [...path, file])
      done.add(file)
    }
    for (const file of files) walk(file, [])
    expect(circles).toEqual([])
  })

  it.each(ONLY)('%s', (what, where) => {
    const users = files.filter((file) => what.test(readFileSync(join(SRC, file), 'utf8')))
    expect(users.length).toBeGreaterThan(0)
    expect(users.filter((file) => !where.test(file))).toEqual([])
  })
})

describe('rules of the house', () => {
  /** A file that needs more is two. Lines. */
  const MAX_LINES = 300

  it.each(files)('%s fits in one reading', (file) => {
    expect(readFileSync(join(SRC, file), 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(MAX_LINES)
  })

  /** The classes of `src` with what they extend, and their text. */
  const classes = files.flatMap((file) => {
    const text = readFileSync(join(SRC, file), 'utf8')
    const found = text.matchAll(/^.*\bclass\s+(\w+)(?:<.*>)?\s+extends\s+([\w.]+)[^\n]*?(?:\{\}|[\s\S]*?\n\})/gm)
    return [...found].map(([body, name, base]) => ({ file, name: name!, base: base!, body }))
  })
  const isError = (base: string): boolean =>
    /Error$/.test(base) || classes.some((one) => one.name === base && isError(one.base))
  const errors = classes.filter(({ base }) => isError(base))

  it('finds every class that extends another', () => {
    const all = files.flatMap((file) => [
      ...readFileSync(join(SRC, file), 'utf8').matchAll(/\bclass\b[^\n]*\bextends\b/g),
    ])
    expect(classes.length).toBe(all.length)
    expect(errors.length).toBeGreaterThan(20)
  })

  // A log shows the name, and so does a stack: "Error" is nobody's.
  it.each(errors)('$name of $file has its name', ({ name, body }) => {
    expect(body).toMatch(new RegExp(`\\b(override readonly name(: string)?|this\\.name) = '${name}'`))
  })
})

it('what the service imports is there in production too', () => {
  const { dependencies } = JSON.parse(readFileSync(resolve(SRC, '../package.json'), 'utf8'))
  const packages = files.flatMap((file) => {
    const text = readFileSync(join(SRC, file), 'utf8')
    return [...text.matchAll(/(?:from|import\(|import\.meta\.resolve\()\s*'([^'.][^']*)'/g)].map(([, name]) => name!)
  })
  const names = packages.filter((name) => !name.startsWith('node:')).map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)![0])
  expect(new Set(names)).toEqual(new Set(Object.keys(dependencies)))
})
