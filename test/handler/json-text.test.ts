import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isJsonText } from '../../src/handler/json-text.ts'

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const RUNS = { numRuns: 3_000 }

describe('a text is JSON', () => {
  it('when JSON.parse takes it', async () => {
    const space = fc.constantFrom(undefined, 1, '\t')
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), space, async (value, indent) => {
        expect(await isJsonText(JSON.stringify(value, null, indent))).toBe(true)
      }),
      RUNS,
    )
  })

  it('and not when JSON.parse refuses it', async () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      'u00e4',
      '1',
      '0',
      '-',
      '.',
      'e',
      '+',
      ' ',
      '\n',
      'true',
      'null',
    ]
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...pieces, 'NaN', '"a"', '{"a":1}', '[1]', '\u0001', '\u2028', '\ufeff'), {
          maxLength: 8,
        }),
        async (parts) => {
          const text = parts.join('')
          expect(await isJsonText(text), text).toBe(parses(text))
        },
      ),
      { numRuns: 20_000 },
    )
  })

  it('and not when one character of it is changed, put in or taken out, unless JSON.parse still takes it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.json(),
        fc.nat(),
        fc.constantFrom('', ...'{}[],:"\\01ae\n '),
        fc.boolean(),
        async (json, where, char, put) => {
          const at = where % (json.length + 1)
          const text = json.slice(0, at) + char + json.slice(put ? at : at + 1)
          expect(await isJsonText(text), text).toBe(parses(text))
        },
      ),
      RUNS,
    )
  })

  it('while others get their turn', async () => {
    const size = 1024 * 1024
    for (const text of ['[', '{"a":', '1,', '"a",', '{},']) {
      let turns = 0
      let going = true
      const count = () => {
        turns++
        if (going) setImmediate(count)
      }
      setImmediate(count)
      await isJsonText(`[${text.repeat(size / text.length)}1`)
      going = false
      expect(turns, text).toBeGreaterThan(10)
    }
  })
})
