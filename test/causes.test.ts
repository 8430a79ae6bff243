import { expect, it } from 'vitest'
import { causesOf } from '../src/causes.ts'

it('tells an error and what caused it, and ends on a cause that names itself', () => {
  const root = new Error('root')
  const top = new Error('top', { cause: root })
  expect(causesOf(top)).toEqual([top, root])
  root.cause = top
  expect(causesOf(top)).toEqual([top, root])
})

it('looks into an AggregateError, and at most at 32 errors', () => {
  const [one, two] = [new Error('one'), new Error('two')]
  expect(causesOf(new Error('top', { cause: new AggregateError([one, two]) }))).toContain(two)
  expect(causesOf(new AggregateError(Array.from({ length: 1_000 }, () => new Error('x'))))).toHaveLength(32)
})

it('takes whatever was thrown', () => {
  const hostile = Object.defineProperty({}, 'cause', {
    get() {
      throw new Error('no')
    },
  })
  for (const thrown of [null, undefined, 'text', 0, hostile]) expect(causesOf(thrown)).toEqual([thrown])
})

it('takes lists of errors that throw when they are looked at', () => {
  const { proxy, revoke } = Proxy.revocable([], {})
  revoke()
  const throwing = new Proxy([new Error('x')], {
    get() {
      throw new Error('no')
    },
  })
  for (const errors of [proxy, throwing]) {
    const top = Object.assign(new Error('top'), { errors })
    expect(causesOf(top)).toEqual([top])
  }
  const root = new Error('root')
  const top = Object.assign(new Error('top', { cause: root }), { errors: proxy })
  expect(causesOf(top)).toEqual([top, root])
})
