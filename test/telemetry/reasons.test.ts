import { describe, expect, it } from 'vitest'
import { codeLabel, operationLabel, refusalLabel } from '../../src/telemetry/reasons.ts'
import { codesIn, filesBelow, firstCells, read } from '../docs/support.ts'

/** docs/troubleshooting.md has every reason and code that the code can produce: see test/docs/codes.test.ts. */
const page = read('docs/troubleshooting.md')

describe('labels', () => {
  it.each([...codesIn(firstCells(page, 'Signatures (401)')), ...codesIn(firstCells(page, '`refused` in the log'))])(
    'know why a request is refused: %s',
    (reason) => expect(refusalLabel(reason)).toBe(reason),
  )

  it.each(codesIn(firstCells(page, 'Reasons of jobs')).map((code) => code.replace('NNN', '503')))(
    'know the code of a reason: %s',
    (code) => expect(codeLabel(code)).toBe(code),
  )

  it('know each operation that the worker and the edge tell of', () => {
    const source = filesBelow('src')
      .filter((path) => /^src\/(worker|http)\//.test(path))
      .map(read)
      .join('\n')
    const told = [...source.matchAll(/emit\('failing', \{ what: ['`]([^'`]+)['`]/g)].map(([, what]) => what!)
    expect(told.length).toBeGreaterThan(4)
    expect(told.filter((what) => operationLabel(what) === 'other')).toEqual([])
  })

  it.each(['toString', '__proto__', '', 'http_', 'http_0503', 'http_999', 'forward_299'])('%j is other', (word) => {
    expect([refusalLabel(word), codeLabel(word)]).toEqual(['other', 'other'])
  })
})
