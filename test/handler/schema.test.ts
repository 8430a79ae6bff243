import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type CompletedResult, type Handler, Permanent, type Schema } from '../../src/handler/handler.ts'
import { createModuleHandOver } from '../../src/handler/module.ts'
import { fitted } from '../../src/handler/schema.ts'
import { ResultsUnavailable } from '../../src/results/results.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { savedResult } from './contract.ts'

const touchy = new Proxy(
  {},
  {
    get() {
      throw new Error('touched')
    },
    getPrototypeOf() {
      throw new Error('touched')
    },
  },
)
function revoked(of: object) {
  const { proxy, revoke } = Proxy.revocable(of, {})
  revoke()
  return proxy
}
const getter = (name: string) =>
  Object.defineProperty({ other: 1 }, name, {
    get() {
      throw null
    },
  })

const THROWN: [name: string, thrown: unknown, told: RegExp][] = [
  ['null', null, /: it threw null$/],
  ['undefined', undefined, /: it threw undefined$/],
  ['a text', 'no luck', /: it threw no luck$/],
  ['a number', 7, /: it threw 7$/],
  ['a symbol', Symbol('s'), /: it threw Symbol\(s\)$/],
  ['an error', new Error('no luck'), /: no luck$/],
  ['an object without prototype', Object.create(null), /: .+/],
  ['what throws wherever it is touched', touchy, /: .+/],
  ['a proxy that was revoked', revoked({}), /: .+/],
  ['issues that throw', getter('issues'), /: .+/],
  ['a message that throws', getter('message'), /: .+/],
  ['issues that are none', { issues: [null, undefined, 1, touchy], message: 'm' }, /: the whole: .+/],
  ['a list of issues that was revoked', { issues: revoked([]), message: 'm' }, /: m$/],
  ['no issues', { issues: [], message: 'nothing fits' }, /: nothing fits$/],
  [
    'paths of objects and symbols',
    { issues: [{ path: [{ key: 'a' }, Symbol('s'), 0, null, touchy], message: 'bad' }] },
    /: a\.Symbol\(s\)\.0\.\?\.\?: bad$/,
  ],
  ['a path that is none', { issues: [{ path: 'a', message: 'bad' }] }, /: the whole: bad$/],
]

const throwing = (thrown: unknown): Schema<unknown>[] => [
  {
    parse() {
      throw thrown
    },
  },
  { parse: (value) => value, parseAsync: () => Promise.reject(thrown) },
  // What a refinement or a transform throws comes out as it is.
  z.unknown().transform(() => {
    throw thrown
  }),
]

describe('a schema that throws', () => {
  it.each(THROWN)('%s refuses the fields, and says why', async (_name, thrown, told) => {
    for (const schema of throwing(thrown)) {
      const error = await fitted(schema, { a: 1 }).catch((caught: unknown) => caught)
      expect(error).toBeInstanceOf(Permanent)
      expect((error as Permanent).message).toMatch(/^the extracted fields do not fit the schema: /)
      expect((error as Permanent).message).toMatch(told)
    }
  })

  it.each(THROWN)('%s makes the job dead, with the reason', async (_name, thrown, told) => {
    const answer = JSON.stringify({ status: 'Completed', result: { result: [{ a: 1 }], citations: null } })
    const { record, results } = await savedResult('job-1', { type: 'Extract' }, answer)
    const handler: Handler = (result) => (result as CompletedResult).extracted(throwing(thrown)[0]!)
    const deps = { results, walk: null as never, timeout: 10_000, log: pino({ level: 'silent' }) }
    const handOver = createModuleHandOver(handler, { ...deps, scrub: createScrub([]) })
    expect(await handOver({ record, round: 1, attempt: 1 }, new AbortController().signal)).toEqual({
      is: 'refused',
      reason: { code: 'refused', message: expect.stringMatching(told) },
    })
  })

  it('the store’s failure keeps it as the cause', async () => {
    const failure = new ResultsUnavailable('disk', 'no room')
    for (const schema of throwing(failure)) await expect(fitted(schema, 1)).rejects.toMatchObject({ cause: failure })
  })

  it('nothing, because it is no schema, is named', async () => {
    for (const none of [{}, { validate: () => 1 }, () => 1] as unknown as Schema<unknown>[])
      await expect(fitted(none, 1)).rejects.toThrow('needs a schema with parse() or parseAsync()')
  })

  it('very many issues: tells the first', async () => {
    const issues = Array.from({ length: 100_000 }, (_, at) => ({ path: [at], message: 'bad' }))
    const error = await fitted(throwing({ issues })[0]!, 1).catch((caught: Error) => caught)
    expect((error as Error).message.split('; ')).toHaveLength(20)
  })
})
