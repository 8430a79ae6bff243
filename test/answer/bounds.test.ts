import { describe, expect, it } from 'vitest'
import {
  createBudget,
  MAX_DEPTH,
  MAX_KEPT_BYTES,
  MAX_LINKS,
  MAX_NAME_CHARS,
  MAX_TOKEN_BYTES,
} from '../../src/answer/bounds.ts'
import { DocumentTooComplex } from '../../src/answer/errors.ts'
import type { Role } from '../../src/answer/plan.ts'
import { createScanner } from '../../src/answer/scan.ts'
import { scan, URL_1 } from './support.ts'

const PIECE = 64 * 1024

function boundOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof DocumentTooComplex) return error.bound
    throw error
  }
  return 'none'
}

/** JSON of a list of so many. */
const many = (count: number, item: string) => `[${`${item},`.repeat(count - 1)}${item}]`
const parse = (chunks: string) => `{"type":"Parse","result":{"result":{"chunks":${chunks}}}}`
const boundOfText = (text: string, role: Role = 'job') => boundOf(() => scan(text, role, PIECE))

describe('what a document may cost is bounded', () => {
  const image = '{"blocks":[{"image_url":"https://a.example"}]}'
  it('links', () => {
    expect(boundOfText(parse(many(MAX_LINKS, image)))).toBe('none')
    expect(boundOfText(many(MAX_LINKS + 1, image), 'Parse.result')).toBe('MAX_LINKS')
    const unknown = `{"type":"T","result":{"pages":${many(MAX_LINKS + 1, '{"image_url":"https://a.example"}')}}}`
    expect(boundOfText(unknown)).toBe('MAX_LINKS')
  })

  it('bytes of links', () => {
    const long = `"https://a.example/${'x'.repeat(1_000_000)}"`
    expect(boundOfText(parse(`[{"blocks":[{"chart_data":${many(70, long)}}]}]`))).toBe('MAX_LINK_BYTES')
    const budget = createBudget()
    for (let spent = 0; spent <= MAX_KEPT_BYTES; spent += 1_000_000) budget.spend(1_000_000, false)
    expect(budget.broken?.bound).toBe('MAX_KEPT_BYTES')
  })

  it('names above a link, where pointers would repeat them; other names are free', () => {
    const name = 'n'.repeat(MAX_NAME_CHARS + 1)
    const below = (value: string) => `{"result":{"${name}":${value}},"type":"Translate"}`
    expect(boundOfText(below(many(20_000, '{"image_url":"https://a.example"}')))).toBe('MAX_NAME_CHARS')
    expect(boundOfText(below(many(20_000, '{"text":"https://a.example"}')))).toBe('none')
    const huge = 'n'.repeat(1_000_000)
    const known = `{"type":"Parse","result":{"${huge}":${many(20_000, '{"image_url":"https://a.example"}')},"result":{"chunks":[]}}}`
    expect(scan(known, 'job', PIECE)).toMatchObject({ links: [], lacks: null })
  })

  it('depth', () => {
    expect(boundOfText('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH), 'Parse.result')).toBe('none')
    expect(boundOfText('['.repeat(MAX_DEPTH + 1), 'Parse.result')).toBe('MAX_DEPTH')
    expect(boundOfText('{"a":'.repeat(MAX_DEPTH + 1))).toBe('MAX_DEPTH')
  })

  it.each([
    ['text', '{"a":"', 'x'],
    ['a name', '{"', 'x'],
    ['a number', '{"a":1', '1'],
    ['spaces', '{', ' '],
  ])('a single value: %s', (_what, head, filling) => {
    const scanner = createScanner('Parse.result')
    const piece = Buffer.alloc(PIECE, filling)
    const write = () => {
      scanner.write(Buffer.from(head))
      for (let bytes = 0; bytes <= MAX_TOKEN_BYTES; bytes += PIECE) scanner.write(piece)
    }
    expect(boundOf(write)).toBe('MAX_TOKEN_BYTES')
  })

  it('of one kind is not broken by what is only data in another', () => {
    const values = many(MAX_LINKS + 1, `{"blocks":[{"image_url":"${URL_1}"}],"pdf_url":"${URL_1}"}`)
    for (const result of [`{"chunks":${values}}`, values]) {
      const reading = scan(`{"result":{"result":${result},"citations":null},"type":"Extract"}`, 'job', PIECE)
      expect(reading).toMatchObject({ links: [], lacks: null })
    }
  })
})
