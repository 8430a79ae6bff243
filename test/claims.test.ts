import { describe, expect, it } from 'vitest'
import { type Choice, chooseClaims, maxRetries } from '../src/claims.ts'

const range = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`)
const due = (first: readonly string[], retries: readonly string[] = []) => ({
  oldest: first,
  newest: first.toReversed(),
  retries,
})
const choose = (given: Partial<Choice<string>>) =>
  chooseClaims<string>({
    due: [],
    sideFiles: [],
    limit: 8,
    places: 8,
    runningRetries: 0,
    newestFirst: false,
    turn: 0,
    ...given,
  })

describe('which jobs are given out', () => {
  it('each once, as many as there are places, and what there is', () => {
    expect(choose({ due: [due(range('a', 3))] }).toSorted()).toEqual(['a0', 'a1', 'a2'])
    expect(choose({ due: [due(range('a', 30))] })).toHaveLength(8)
    expect(choose({})).toEqual([])
    expect(choose({ limit: 0, due: [due(['a'])] })).toEqual([])
  })

  it('the oldest and the newest by turns', () => {
    expect(choose({ due: [due(range('a', 9))], limit: 3 })).toEqual(['a0', 'a8', 'a1'])
    // One at a time, as places become free: every fourth is the newest, whatever waits.
    const one = (turn: number) => choose({ due: [due(range('a', 1_000))], limit: 1, turn })
    expect([0, 1, 2, 3, 4, 5].map((turn) => one(turn)[0])).toEqual(['a0', 'a999', 'a0', 'a0', 'a0', 'a999'])
  })

  it('the newest first on trial, and what failed before when there is nothing new', () => {
    expect(choose({ due: [due(range('a', 9), ['old'])], limit: 2, newestFirst: true })).toEqual(['a8', 'a7'])
    expect(choose({ due: [due([], ['old'])], newestFirst: true })).toEqual(['old'])
  })

  it('retries for half of the places at most, also when nothing else waits', () => {
    expect([1, 2, 3, 8].map(maxRetries)).toEqual([1, 1, 1, 4])
    expect(choose({ due: [due([], range('r', 20))] })).toEqual(range('r', 4))
    expect(choose({ due: [due([], range('r', 20))], runningRetries: 3 })).toEqual(['r0'])
    expect(choose({ due: [due(['new'], range('r', 20))], runningRetries: 4 })).toEqual(['new'])
  })

  it('a retry in its turn, though first looks wait without end', () => {
    expect(choose({ due: [due(range('a', 100), ['r'])], limit: 4 })).toContain('r')
  })

  it('the jobs of endpoints by turns', () => {
    const leaked = due(range('invented', 5_000))
    const chosen = choose({ due: [leaked, due(['real'])] })
    expect(chosen).toContain('real')
    expect(choose({ due: [leaked, due(['real0', 'real1'])], limit: 1, turn: 4 })).toEqual(['real0'])
  })

  it('side files after all else, among the retries', () => {
    expect(choose({ due: [due(['a'], ['r'])], sideFiles: ['s0', 's1'], limit: 3 })).toEqual(['a', 'r', 's0'])
    expect(choose({ sideFiles: range('s', 9) })).toEqual(range('s', 4))
    expect(choose({ sideFiles: ['s'], runningRetries: 4 })).toEqual([])
  })
})
