import { expect, it } from 'vitest'
import { createObserver } from '../../../src/inbox/postgres/observer.ts'

const beats = (beat: number) => [{ id: 7, beat }]

it('takes a replica for dead whose beat has stood still for ten seconds of the watcher’s clock, and not before', () => {
  const observer = createObserver()
  for (let at = 0; at < 10_000; at += 2_000) expect(observer.see(beats(1), at)).toEqual([])
  expect(observer.see(beats(1), 10_000)).toEqual([{ id: 7, beat: 1 }])
})

it('does not while its beat moves, however slowly', () => {
  const observer = createObserver()
  for (let at = 0; at <= 60_000; at += 2_000) expect(observer.see(beats(Math.floor(at / 8_000)), at)).toEqual([])
})

it('does not when the watcher itself has seen nothing for a while: everybody has time to beat first', () => {
  const observer = createObserver()
  for (const at of [0, 2_000, 4_000]) observer.see(beats(1), at)
  expect(observer.see(beats(1), 34_000)).toEqual([])
  expect(observer.see(beats(2), 36_000)).toEqual([])
  for (let at = 38_000; at < 46_000; at += 2_000) expect(observer.see(beats(2), at)).toEqual([])
  expect(observer.see(beats(2), 46_000)).toEqual([{ id: 7, beat: 2 }])
})

it('forgets a replica that is gone, and knows nothing of a new one', () => {
  const observer = createObserver()
  for (const at of [0, 2_000, 4_000, 6_000, 8_000]) observer.see(beats(1), at)
  expect(observer.see([{ id: 8, beat: 1 }], 10_000)).toEqual([])
  expect(observer.see([...beats(1), { id: 8, beat: 1 }], 12_000)).toEqual([])
})
