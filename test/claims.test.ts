import { describe, expect, it } from 'vitest'
import { type Choice, type ClaimRequest, chooseClaims, maxRetries, planClaims, wakesBothStages } from '../src/claims.ts'
import type { Stage } from '../src/job.ts'

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
    slots: 8,
    runningRetries: 0,
    newestFirst: false,
    turn: 0,
    ...given,
  })

describe('which jobs are given out', () => {
  it('each once, as many as there are slots, and what there is', () => {
    expect(choose({ due: [due(range('a', 3))] }).toSorted()).toEqual(['a0', 'a1', 'a2'])
    expect(choose({ due: [due(range('a', 30))] })).toHaveLength(8)
    expect(choose({})).toEqual([])
    expect(choose({ limit: 0, due: [due(['a'])] })).toEqual([])
  })

  it('the oldest and the newest by turns', () => {
    expect(choose({ due: [due(range('a', 9))], limit: 3 })).toEqual(['a0', 'a8', 'a1'])
    // One at a time, as slots become free: every fourth is the newest, whatever waits.
    const one = (turn: number) => choose({ due: [due(range('a', 1_000))], limit: 1, turn })
    expect([0, 1, 2, 3, 4, 5].map((turn) => one(turn)[0])).toEqual(['a0', 'a999', 'a0', 'a0', 'a0', 'a999'])
  })

  it('the newest first on trial, and what failed before when there is nothing new', () => {
    expect(choose({ due: [due(range('a', 9), ['old'])], limit: 2, newestFirst: true })).toEqual(['a8', 'a7'])
    expect(choose({ due: [due([], ['old'])], newestFirst: true })).toEqual(['old'])
  })

  it('retries for half of the slots at most, also when nothing else waits', () => {
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

describe('what a stage may claim', () => {
  type Named = { readonly id: string; readonly stage: Stage }
  const plan = (given: Partial<ClaimRequest<Named>>) =>
    planClaims<Named>({
      ...{ stage: 'fetch', limit: 3, total: 8, isOtherOpen: true, isPaused: false },
      ...{ running: [], sideFilesRunning: 0, isolated: [] },
      ...given,
    })
  const running = (stage: Stage, isRetry: boolean, crashes = 0) => ({ stage, isRetry, crashes })
  const lone = (stage: Stage): Named => ({ id: `lone ${stage}`, stage })

  it('nothing while claims are stopped, or without a place', () => {
    expect(plan({ isPaused: true })).toEqual({ is: 'nothing' })
    expect(plan({ limit: 0 })).toEqual({ is: 'nothing' })
    expect(plan({ total: 0 })).toEqual({ is: 'nothing' })
  })

  it('as many as there are slots, and no more than there are in all', () => {
    expect(plan({})).toEqual({ is: 'due', limit: 3, runningRetries: 0 })
    expect(plan({ limit: 20 })).toEqual({ is: 'due', limit: 8, runningRetries: 0 })
  })

  it('counts the retries of its own stage, and side files among those of fetches', () => {
    const all = [running('fetch', true), running('fetch', false), running('hand_over', true)]
    expect(plan({ running: all, sideFilesRunning: 2 })).toMatchObject({ runningRetries: 3 })
    expect(plan({ running: all, sideFilesRunning: 2, stage: 'hand_over' })).toMatchObject({ runningRetries: 1 })
  })

  it('a job alone that must run so, when nothing else runs', () => {
    expect(plan({ isolated: [lone('fetch')] })).toEqual({ is: 'alone', job: lone('fetch') })
    expect(plan({ isolated: [lone('fetch')], running: [running('hand_over', false)] })).toEqual({ is: 'nothing' })
    expect(plan({ isolated: [lone('fetch')], sideFilesRunning: 1 })).toEqual({ is: 'nothing' })
  })

  it('nothing beside a job that runs alone', () => {
    expect(plan({ running: [running('hand_over', false, 2)] })).toEqual({ is: 'nothing' })
    expect(plan({ running: [running('hand_over', false, 1)] })).toMatchObject({ is: 'due' })
  })

  it('nothing while one of the other stage waits to run alone, unless that stage may not claim', () => {
    expect(plan({ isolated: [lone('hand_over')] })).toEqual({ is: 'nothing' })
    expect(plan({ isolated: [lone('hand_over')], isOtherOpen: false })).toMatchObject({ is: 'due' })
    expect(plan({ isolated: [lone('hand_over'), lone('fetch')], isOtherOpen: false })).toMatchObject({
      ...{ is: 'alone', job: lone('fetch') },
    })
  })

  it('both stages are woken by the end of a job that ran alone, or for one that waits to', () => {
    expect(wakesBothStages({ crashes: 2 }, () => false)).toBe(true)
    expect(wakesBothStages({ crashes: 0 }, () => true)).toBe(true)
    expect(wakesBothStages({ crashes: 1 }, () => false)).toBe(false)
  })
})
