import { expect, it } from 'vitest'
import { WrongUse } from '../../src/cli/command.ts'
import { parseFor } from '../../src/cli/parse.ts'
import { jobsList } from '../../src/cli/spec/jobs.ts'
import { filterOf } from '../../src/cli/values.ts'

const filter = (q: string) => filterOf(parseFor(jobsList, [`--q=${q}`]).values)

it.each(['', '   ', 'x'.repeat(501)])('--q refuses %j: it would match nothing, or everything', (q) => {
  expect(() => filter(q)).toThrow(new WrongUse('--q takes the start of an id, or words: up to 500 characters'))
})

it.each(['x'.repeat(500), ` ${'x'.repeat(500)} `])('--q takes up to 500 characters', (q) => {
  expect(filter(q)).toEqual({ q })
})
