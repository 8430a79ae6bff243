import { expect, it } from 'vitest'
import { explainError } from '../src/explain-error.ts'

function coded(message: string, code: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code })
}

it('tells the innermost cause, with its code', () => {
  const error = new TypeError('fetch failed', { cause: coded('other side closed', 'UND_ERR_SOCKET') })
  expect(explainError(error)).toBe('other side closed (UND_ERR_SOCKET)')
  expect(explainError(coded('connect ECONNREFUSED ::1:1', 'ECONNREFUSED'))).toBe('connect ECONNREFUSED ::1:1')
})

it('tells all that an AggregateError holds, each once', () => {
  const errors = ['::1', '127.0.0.1', '::1'].map((address) => coded(`connect ECONNREFUSED ${address}`, 'ECONNREFUSED'))
  expect(explainError(new Error('x', { cause: new AggregateError(errors) }))).toBe(
    'connect ECONNREFUSED ::1, connect ECONNREFUSED 127.0.0.1',
  )
  expect(explainError(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }))).toBe('ECONNREFUSED')
})

it('ends, within a bound, whatever the error is', () => {
  const self = new Error('self')
  self.cause = self
  expect(explainError(self)).toBe('self')
  const [a, b] = [new Error('a'), new Error('b')]
  a.cause = b
  b.cause = a
  expect(explainError(a)).toBe('a, b')
  const many = new AggregateError(Array.from({ length: 100_000 }, (_one, at) => new Error(`${at}`.repeat(10_000))))
  expect(explainError(many).length).toBeLessThan(1_000)
  const hostile = {
    get message() {
      throw new Error('no')
    },
    get cause() {
      throw new Error('no')
    },
  }
  expect(explainError(hostile)).toBe('an error that cannot be read')
  for (const odd of [null, undefined, 7, 'text', Symbol('s'), {}, Object.create(null)])
    expect(typeof explainError(odd)).toBe('string')
})
