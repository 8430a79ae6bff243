import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseLossless, stringifyLossless } from '../src/lossless-json.ts'

/** A number as it can be written. */
const number = fc.stringMatching(/^-?(?:0|[1-9]\d{0,25})(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?$/)
const text = fc.oneof(
  fc.json(),
  fc.string().map((value) => JSON.stringify(value)),
  number,
)
const json = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 5 },
    text,
    number,
    fc.array(tie('json'), { maxLength: 4 }).map((items) => `[${items.join(' , ')}]`),
    fc
      .array(fc.tuple(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'a', '"\\')), tie('json')), { maxLength: 4 })
      .map((members) => `{ ${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',\n')} }`),
  ),
})).json

it('keeps every number as it is written, and everything else as JSON.parse gives it', () => {
  fc.assert(
    fc.property(json, (given) => {
      const exact = parseLossless(given)
      expect(JSON.parse(stringifyLossless(exact))).toEqual(JSON.parse(given))
      // The reviver is told how each number is written.
      const written: string[] = []
      const note = (_key: string, value: unknown, context?: { source?: string }) => {
        if (typeof value === 'number') written.push(context!.source!)
        return value
      }
      JSON.parse(stringifyLossless(exact), note)
      const kept = written.splice(0)
      JSON.parse(given, note)
      expect(kept).toEqual(written)
    }),
    { numRuns: 2_000 },
  )
})

it('refuses what JSON.parse refuses', () => {
  for (const broken of ['', '{', '[1.0', '{"a":1.0,}', '01', '1.', '--1', '[1.0 2]', 'NaN'])
    expect(() => parseLossless(broken)).toThrow(SyntaxError)
})

it('parses what is nested as deeply as JSON.parse allows', () => {
  const depth = 200_000
  expect(() => parseLossless(`${'['.repeat(depth)}1.0${']'.repeat(depth)}`)).not.toThrow()
})
