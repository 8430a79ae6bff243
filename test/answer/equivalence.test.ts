import fc from 'fast-check'
import { expect, it } from 'vitest'
import { DocumentTooComplex, NotJson } from '../../src/answer/errors.ts'
import type { Kept } from '../../src/answer/kept.ts'
import { KIND_NAMES } from '../../src/answer/kinds.ts'
import type { Role } from '../../src/answer/plan.ts'
import { readingOf } from '../../src/answer/reading.ts'
import { createScanner } from '../../src/answer/scan.ts'
import { URL_1 } from './support.ts'

/**
 * A scan keeps little of a document, sees it in pieces, and learns its kind last. What it reads in it is what is read in
 * the whole document after JSON.parse.
 */

const runs = { numRuns: Number(process.env.FUZZ_RUNS ?? 1_500) }

const NAMES = [
  'result',
  'chunks',
  'blocks',
  'type',
  'url',
  'pdf_url',
  'image_url',
  'chart_data',
  'extra',
  'page_image_url',
]
const MORE = [
  'parse',
  'extract',
  'split',
  'edit',
  'splits',
  'category',
  'document_url',
  'usage',
  'num_pages',
  'num_fields',
]
const REST = [
  'citations',
  'value',
  'error',
  'detail',
  'response_type',
  'job_id',
  'x',
  '',
  '0',
  '*',
  'a/b~c',
  '__proto__',
]
const name = fc.constantFrom(...NAMES, ...NAMES, ...MORE, ...REST)
const scalar = fc.oneof(
  fc.constantFrom(URL_1, 'https://storage.example/2', 'url', 'full', 'text', ' HTTPS://a.example', 'reducto://x', ''),
  fc.constantFrom(null, true, 0, 1.5, '\uD83D\uDE00"\\\n'),
)
const link = fc.constant({
  members: [['type', 'url'] as [string, Tree], ['expires_at', 1], ['url', URL_1]] as [string, Tree][],
})

/** Members as a list: names can come twice. */
type Tree = string | number | boolean | null | Tree[] | { members: [string, Tree][] }
const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 9, depthSize: 'medium' },
    scalar as fc.Arbitrary<Tree>,
    link as fc.Arbitrary<Tree>,
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.record({ members: fc.array(fc.tuple(name, tie('tree')), { maxLength: 5 }) }),
  ),
})).tree

/** Objects whose members are, more often than not, what stands there in an answer. */
const near = (members: Record<string, fc.Arbitrary<Tree>>): fc.Arbitrary<Tree> => {
  const expected = Object.entries(members).map(([key, value]) =>
    fc.tuple(fc.constant(key), fc.oneof({ arbitrary: value, weight: 6 }, { arbitrary: tree, weight: 1 })),
  )
  const member = fc.oneof(
    { arbitrary: fc.oneof(...expected), weight: 8 },
    { arbitrary: fc.tuple(name, tree), weight: 1 },
  )
  return fc.record({ members: fc.array(member, { maxLength: 5 }) })
}
const list = (item: fc.Arbitrary<Tree>): fc.Arbitrary<Tree> => fc.array(item, { maxLength: 3 })
const text = scalar as fc.Arbitrary<Tree>
const block = near({ image_url: text, chart_data: list(text), extra: near({ page_image_url: text }) })
const chunks = list(near({ blocks: list(block) }))
const usage = near({ num_pages: fc.constant(1), num_fields: fc.constant(1) })
const results = fc.oneof(
  link as fc.Arbitrary<Tree>,
  chunks,
  near({ chunks, type: text }),
  near({ splits: list(tree), category: text, error: tree }),
)
const response = fc.oneof(
  { arbitrary: near({ result: results, usage, pdf_url: text, document_url: text, citations: text }), weight: 6 },
  { arbitrary: fc.oneof(results, tree), weight: 1 },
)
const part = fc.oneof(response, list(response), list(near({ result: response })))
const pipeline = near({ parse: part, extract: part, split: response, edit: response })
const document = fc.oneof(response, results, pipeline, near({ result: pipeline }), tree)

const space = fc.constantFrom('', ' ', '\n\t')

function write(value: Tree, pad: string): string {
  if (Array.isArray(value)) return `[${value.map((item) => pad + write(item, pad)).join(',')}${pad}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${value.members.map(([key, member]) => `${pad}${JSON.stringify(key)}${pad}:${pad}${write(member, pad)}`).join(',')}${pad}}`
}

/** All of a value, as if every bit of it had been asked for. */
function wholeOf(value: unknown): Kept {
  if (typeof value !== 'object' || value === null) return value as Kept
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return {
    isArray: Array.isArray(value),
    members: new Map(entries.map(([key, member]) => [key, wholeOf(member)])),
    size: entries.length,
  }
}

function scanned(text: string, role: Role, cuts: readonly number[]) {
  const bytes = Buffer.from(text)
  const scanner = createScanner(role)
  let at = 0
  for (const cut of [...cuts, bytes.length]) {
    scanner.write(bytes.subarray(at, at + cut))
    at += cut
  }
  return readingOf(scanner.end(), role)
}

/** Members keep other places in a Map than in an object when a name comes twice. */
function sorted(reading: ReturnType<typeof scanned>) {
  return { ...reading, links: reading.links.toSorted((a, b) => (a.pointer < b.pointer ? -1 : 1)) }
}

function expectSame(text: string, role: Role, cuts: readonly number[]): void {
  const whole = readingOf({ root: wholeOf(JSON.parse(text)), check() {} }, role)
  expect(sorted(scanned(text, role, cuts))).toEqual(sorted(whole))
}

const cuts = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 })

it('an answer of a known kind, whatever the order, the spaces, the pieces', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...KIND_NAMES),
      document,
      fc.boolean(),
      space,
      cuts,
      (type, result, last, pad, pieces) => {
        const head: [string, Tree][] = [
          ['status', 'Completed'],
          ['type', type],
        ]
        const members: [string, Tree][] = last ? [['result', result], ...head] : [...head, ['result', result]]
        expectSame(write({ members }, pad), 'job', pieces)
      },
    ),
    runs,
  )
})

it('a document that a link of a known kind leads to', () => {
  const levels = fc.constantFrom('response', 'result', 'last')
  fc.assert(
    fc.property(fc.constantFrom(...KIND_NAMES), levels, document, space, cuts, (kind, level, given, pad, pieces) => {
      expectSame(write(given, pad), `${kind}.${level}` as Role, pieces)
    }),
    runs,
  )
})

it('what is JSON, and what is not', () => {
  const texts = fc.oneof(
    fc.json(),
    tree.map((value) => write(value, '')),
    fc
      .array(fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '1', 'null', 'NaN', ' ', '-', '"', '\\'))
      .map((tokens) => tokens.join('')),
  )
  const isJson = (read: () => unknown): boolean => {
    try {
      read()
      return true
    } catch (error) {
      if (!(error instanceof SyntaxError) && !(error instanceof NotJson) && !(error instanceof DocumentTooComplex))
        throw error
      return false
    }
  }
  fc.assert(
    fc.property(texts, cuts, (given, pieces) => {
      fc.pre(given.trim() !== '')
      const bom = given.length % 2 === 0 ? '\uFEFF' : ''
      expect(isJson(() => scanned(bom + given, 'Extract.result', pieces))).toBe(isJson(() => JSON.parse(given)))
    }),
    runs,
  )
})
