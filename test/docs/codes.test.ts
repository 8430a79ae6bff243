import { describe, expect, it } from 'vitest'
import { ERASED, PROCESS_DIED } from '../../src/job.ts'
import { SIGNATURE_REASONS } from '../../src/telemetry/reasons.ts'
import { codesIn, filesBelow, firstCells, read } from './support.ts'

/** docs/troubleshooting.md has every status, reason and code that the code can produce, and no other. */

const page = read('docs/troubleshooting.md')

/** The source of a room, or of a file. */
function source(...paths: string[]): string {
  return paths
    .flatMap((path) => (path.endsWith('.ts') ? [path] : filesBelow(path)))
    .map(read)
    .join('\n')
}

function all(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, found]) => found!)
}

/** The members of a union of strings, by the name of its type or member. */
function union(name: string, ...files: readonly string[]): string[] {
  const declared = new RegExp(`(?:type ${name} =|readonly ${name}:)((?:\\s*\\|?\\s*(?:[A-Z]\\w+|'\\w+'))+)`).exec(
    source(...files),
  )
  if (!declared) throw new Error(`${files} declares no union ${name}`)
  const own = all(declared[1]!, /'(\w+)'/g)
  const others = all(declared[1]!, /\b([A-Z]\w+)/g)
  return [...own, ...others.flatMap((other) => union(other, ...files))]
}

function expectSame(documented: readonly string[], produced: readonly string[]): void {
  expect(documented.toSorted()).toEqual([...new Set(produced)].toSorted())
}

const http = source('src/http')

describe('docs/troubleshooting.md names', () => {
  it('every answer, by status and word', () => {
    const errors = [...http.matchAll(/json\((\d{3}), \{ error: '(\w+)'/g)].map(
      ([, status, word]) => `${status} ${word}`,
    )
    const others = [...http.matchAll(/json\((\d{3}), \{ (received|not_ready)\b/g)].map(
      ([, status, word]) => `${status} ${word}`,
    )
    const states = [...http.matchAll(/json\((\d{3}), \{ status: '(\w+)'/g)].map(
      ([, status, word]) => `${status} ${word}`,
    )
    const documented = firstCells(page, 'Answers of the service').flatMap((cell) =>
      cell.replaceAll('`', '').split(', '),
    )
    expectSame(documented, [...errors, ...others, ...states, '200 degraded'])
    // None is made in a way that is not seen here.
    expect(http.match(/(?<![.\w])json\((?!status|\d{3}, (?:\{|value))/g) ?? []).toEqual([])
  })

  it('every reason of a 401', () => {
    expectSame(codesIn(firstCells(page, 'Signatures (401)')), SIGNATURE_REASONS)
  })

  it('every reason of a refused line', () => {
    const written = all(http, /(?:refuse|report|refused)\((?:request, response, )?[\w.]+, '(\w+)'/g)
    const given = all(http, /\breason: '(\w+)'/g)
    const table = all(read('src/http/results-route.ts'), /^ {2}\d{3}: '(\w+)'/gm)
    const inbox = union('code', 'src/inbox/inbox.ts').map((code) => `inbox_${code}`)
    expect(http).toMatch(/`inbox_\$\{error\.code\}`/)
    expectSame(codesIn(firstCells(page, '`refused` in the log')), [
      ...written,
      ...given,
      ...table,
      ...inbox,
      'result_refused',
    ])
  })

  it('every name of /readyz', () => {
    const named = [
      ...union('NotReady', 'src/telemetry/events.ts', 'src/http/health.ts'),
      ...union('Degraded', 'src/telemetry/events.ts'),
      ...union('PauseCause', 'src/telemetry/events.ts'),
    ]
    expectSame(codesIn(firstCells(page, '`/readyz`')), named)
  })

  it('every outcome of an attempt', () => {
    const [, outcomes = ''] = /export type Outcome =([\s\S]*?)\n\n/.exec(read('src/job.ts'))!
    const written = all(read('src/inbox/transitions.ts'), /outcome: '(\w+)'/g)
    expectSame(codesIn(firstCells(page, 'Outcomes of attempts')), [...all(outcomes, /is: '(\w+)'/g), ...written])
  })

  it('every code of a reason', () => {
    const text = source('src/worker', 'src/handler', 'src/job.ts', 'src/answer')
    const literal = all(text, /\bcode: '(\w+)'/g)
    const returned = all(text, /\bfailed\('(\w+)'/g)
    const byDefault = all(text, /options\.code \?\? '(\w+)'/g)
    const constant = all(text, /^const MISSING = '(\w+)'/gm)
    const patterns = all(text, /\bcode: `(\w+_)\$\{status\}`/g).map((start) => `${start}NNN`)
    const unions = [
      ...union('code', 'src/worker/failures.ts'),
      ...union('ResultsTrouble', 'src/results/results.ts'),
      ERASED.code,
      PROCESS_DIED.code,
      'network',
    ]
    // Those of HTTP's statuses share one row.
    const found = [...literal, ...returned, ...byDefault, ...constant, ...patterns, ...unions].filter(
      (code) => !/^http_\d+$/.test(code),
    )
    expectSame(codesIn(firstCells(page, 'Reasons of jobs')), found)
  })

  it('every exit code', () => {
    const [, codes = ''] = /const EXIT = \{([^}]*)\}/.exec(read('src/main.ts'))!
    expectSame(firstCells(page, 'Exit codes'), all(codes, /: (\d+)/g))
  })
})
