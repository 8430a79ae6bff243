import pino from 'pino'
import { expect, it } from 'vitest'
import { createSearchLog } from '../../src/telemetry/search-log.ts'

it('a trouble of the index of search is told when it begins, changes and ends, each once', () => {
  const lines: Record<string, unknown>[] = []
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) })
  const tell = createSearchLog(log as Parameters<typeof createSearchLog>[0])
  for (const trouble of [null, 'the disk is nearly full', 'the disk is nearly full', 'its thread ended', null, null])
    tell({ trouble })
  expect(lines.map(({ level, search }) => [level, search])).toEqual([
    [40, 'the disk is nearly full'],
    [40, 'its thread ended'],
    [30, undefined],
  ])
})
