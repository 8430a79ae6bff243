import { spawnSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import pino from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createWalkThread } from '../../src/answer/walk-thread.ts'
import { type Context, type Handler, Permanent, type Result } from '../../src/handler/handler.ts'
import type { LoadOptions } from '../../src/handler/load-handler.ts'
import { createModuleHandOver, HandlerUnusable, loadHandler } from '../../src/handler/module.ts'
import { type Results, ResultsUnavailable } from '../../src/results/results.ts'
import { errorSerializers, type Log } from '../../src/telemetry/log.ts'
import { createScrub } from '../../src/telemetry/scrub.ts'
import { tempFolder } from '../support/temp.ts'
import { type Behaviour, handOverContract, savedResult, staysFlat } from './contract.ts'

const silent = pino({ level: 'silent' })

const API_KEY = 'rk_live_0123456789'

function open(handler: Handler, results: Results, timeout = 10_000, log: Log = silent) {
  const walk = createWalkThread()
  onTestFinished(() => walk.close())
  return createModuleHandOver(handler, { results, walk, timeout, log, scrub: createScrub([API_KEY]) })
}

handOverContract('a module', async ({ results, timeout }) => {
  const calls: string[] = []
  const next: Behaviour[] = []
  const handler: Handler = async (result) => {
    calls.push(result.record.job_id)
    const behaviour = next.shift()
    if (behaviour === 'fail') throw new Error('not now')
    if (behaviour === 'hang') await new Promise(() => {})
  }
  return { handOver: open(handler, results, timeout), behave: (...more) => void next.push(...more), calls: () => calls }
})

describe('a module', () => {
  const forEver = new AbortController().signal

  async function call(handler: Handler, attempt = 1, change = {}) {
    const { record, results } = await savedResult('job-1', change)
    return open(handler, results)({ record, round: 1, attempt }, forEver)
  }

  it('gets the result, narrowed by its status, the number of the attempt and a signal', async () => {
    let got: [Result, Context] | null = null
    let raw = ''
    const handler: Handler = async (...args) => {
      got = args
      raw = (await args[0].rawJob()).toString()
    }
    await call(handler, 3)
    const [result, context] = got!
    expect(result).toMatchObject({ status: 'Completed', record: { job_id: 'job-1' } })
    expect(context).toMatchObject({ attempt: 3, signal: expect.any(AbortSignal) })
    await call(handler, 1, { status: 'Failed', reason: 'empty' })
    expect(got![0]).toMatchObject({ status: 'Failed', reason: 'empty' })
    expect(got![0]).not.toHaveProperty('job')
    expect(raw).toBe('{"status":"Completed"}')
  })

  it('aborts its signal when the time is over', async () => {
    const { record, results } = await savedResult('job-1')
    let signal: AbortSignal | null = null
    const handOver = open(
      async (_result, context) => {
        signal = context.signal
        await new Promise(() => {})
      },
      results,
      20,
    )
    expect(await handOver({ record, round: 1, attempt: 1 }, forEver)).toMatchObject({
      reason: { code: 'handler_timeout' },
    })
    expect(signal!.aborted).toBe(true)
  })

  it('may refuse a result for good', async () => {
    const refuse = (error: unknown) =>
      call(() => {
        throw error
      })
    const refused = { is: 'refused', reason: { code: 'refused', message: 'no such customer' } }
    expect(await refuse(new Permanent('no such customer'))).toEqual(refused)
    // As from a second copy of the package.
    expect(await refuse(Object.assign(new Error('no such customer'), { name: 'Permanent' }))).toEqual(refused)
  })

  it.each([['text'], [null], [undefined], [{ a: 1 }], [new Error('')]])('may throw anything: %s', async (thrown) => {
    const handed = await call(() => {
      throw thrown
    })
    expect(handed).toMatchObject({ is: 'retry', reason: { code: 'handler' } })
  })

  it('is refused fields that do not fit its schema, and told which', async () => {
    const { record, results } = await savedResult(
      'job-1',
      { type: 'Extract' },
      JSON.stringify({ result: { result: [{ total: 'x' }], citations: null, usage: { num_fields: 1 } } }),
    )
    const { z } = await import('zod')
    const handOver = open(async (result) => {
      if (result.status === 'Completed') await result.extracted(z.object({ total: z.number(), number: z.string() }))
    }, results)
    const handed = await handOver({ record, round: 1, attempt: 1 }, forEver)
    expect(handed).toMatchObject({ is: 'refused', reason: { message: expect.stringMatching(/total: .*; number: /) } })
  })

  it('is told when a file is not there', async () => {
    const handed = await call(async (result) => void (await result.open('files/7.png')))
    expect(handed).toMatchObject({ reason: { message: 'job-1 has no saved file files/7.png' } })
  })
})

/** What throws wherever it is touched. */
const touchy = new Proxy(new Error('x'), {
  get: () => throwing(),
  has: () => throwing(),
  ownKeys: () => throwing(),
  getPrototypeOf: () => throwing(),
  getOwnPropertyDescriptor: () => throwing(),
})

function throwing(): never {
  throw new Error('do not touch')
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

function looped(): Error {
  const [outer, inner] = [new Error('outer'), new Error('inner')]
  outer.cause = inner
  inner.cause = outer
  return outer
}

function withGetter(name: string): Error {
  return Object.defineProperty(new Error('text'), name, { get: throwing })
}

/** Whatever a handler throws, it is told in one bounded, clean text, and never ends anything. */
const THROWN: [name: string, thrown: unknown, message: RegExp][] = [
  ['a text', 'no luck', /^no luck$/],
  ['nothing', undefined, /^undefined$/],
  ['null', null, /^null$/],
  ['a symbol', Symbol('s'), /^Symbol\(s\)$/],
  ['an object', { a: 1 }, /^\{ a: 1 \}$/],
  ['an object without prototype', Object.create(null), /^\[Object: null prototype\] \{\}$/],
  ['an object with a message', { message: 'no luck' }, /^no luck$/],
  ['a function', function named() {}, /named/],
  ['an error without a message', new TypeError(''), /^TypeError$/],
  ['an error that caused itself', Object.assign(new Error('again'), {}), /^again$/],
  ['errors that caused each other', looped(), /^outer \(inner\)$/],
  ['a text of 10 MB', 'x'.repeat(10_000_000), /^x{500}…$/],
  ['a message of 10 MB', new Error('x'.repeat(10_000_000)), /^x{500}…$/],
  ['a cause of 10 MB', new Error('no', { cause: new Error('y'.repeat(10_000_000)) }), /^no \(y{300}\)$/],
  ['a message that throws', withGetter('message'), /./],
  ['a name that throws', withGetter('name'), /^text$/],
  ['a cause that throws', withGetter('cause'), /^text$/],
  ['a stack that throws', withGetter('stack'), /^text$/],
  ['a code that throws', withGetter('code'), /^text$/],
  ['a message that is no text', Object.assign(new Error('x'), { message: { a: 1 } }), /./],
  ['what throws wherever it is touched', touchy, /./],
  ['the same as a cause', new Error('outer', { cause: touchy }), /^outer \(./],
  ['what has such a prototype', Object.create(touchy), /./],
  ['a proxy that was revoked', revoked({}), /./],
  ['the same as a cause', new Error('outer', { cause: revoked(new Error('x')) }), /^outer \(./],
  ['a list of errors that was revoked', Object.assign(new Error('outer'), { errors: revoked([]) }), /^outer$/],
  [
    'several errors',
    new AggregateError([new Error('first'), new Error('second'), new Error('first')], 'all failed'),
    /^all failed \(first; second\)$/,
  ],
  [
    'very many errors',
    new AggregateError(Array.from({ length: 100_000 }, (_, at) => new Error(`number ${at}`))),
    /^AggregateError \(number 0; .*…\)$/,
  ],
  [
    'a call that failed, as fetch tells it',
    new TypeError('fetch failed', { cause: Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }) }),
    /^fetch failed \(ECONNREFUSED\)$/,
  ],
  [
    'a secret',
    new Error(`key ${API_KEY} at https://h.example/k?sig=SENTINEL.`),
    /^key \[secret\] at https:\/\/h\.example\/k\.$/,
  ],
  ['a secret in a cause', new Error('no', { cause: new Error(`with ${API_KEY}`) }), /^no \(with \[secret\]\)$/],
  ['a secret in a code', new Error('no', { cause: { code: API_KEY } }), /^no \(\[secret\]\)$/],
  ['control characters', new Error('\x1b[31mred\x00 \x1b]0;title\x07'), /^red +$/],
]

describe('what a module throws', () => {
  const forEver = new AbortController().signal
  const lines: string[] = []
  const { log } = openLogTo(lines)

  it.each(THROWN)('%s', async (_, thrown, message) => {
    const { record, results } = await savedResult('job-1')
    const handed = await open(
      () => {
        throw thrown
      },
      results,
      10_000,
      log,
    )({ record, round: 1, attempt: 1 }, forEver)
    expect(handed).toEqual({ is: 'retry', reason: { code: 'handler', message: expect.stringMatching(message) } })
    const line = lines.at(-1)!
    expect(JSON.parse(line)).toMatchObject({ msg: 'handler failed', jobId: 'job-1' })
    expect(line.length).toBeLessThan(5_000)
    expect(line).not.toMatch(/SENTINEL|rk_live/)
  })

  it('is the store’s failure, however deep that is, and only then', async () => {
    const { record, results } = await savedResult('job-1')
    const job = { record, round: 1, attempt: 1 }
    const failure = new ResultsUnavailable('disk', 'no room')
    const wrapped = new Error('mine', { cause: new AggregateError([new Error('other'), failure]) })
    for (const thrown of [failure, wrapped])
      await expect(open(() => Promise.reject(thrown), results)(job, forEver)).rejects.toBe(failure)
    const looks = new Proxy({}, { getPrototypeOf: () => ResultsUnavailable.prototype })
    expect(await open(() => Promise.reject(looks), results)(job, forEver)).toMatchObject({ is: 'retry' })
  })

  it('for good is told without its causes, and scrubbed', async () => {
    const { record, results } = await savedResult('job-1')
    const thrown = new Permanent(`no such customer: ${API_KEY}`, { cause: new Error('detail') })
    const handed = await open(() => Promise.reject(thrown), results)({ record, round: 1, attempt: 1 }, forEver)
    expect(handed).toEqual({ is: 'refused', reason: { code: 'refused', message: 'no such customer: [secret]' } })
  })
})

it('nothing of 10,000 calls of a module stays, whether they return, fail or throw', async () => {
  const { record, results } = await savedResult('job-1')
  const handler: Handler = (_result, { attempt, signal }) => {
    signal.addEventListener('abort', () => {})
    if (attempt % 3 === 0) throw new Error('at once')
    return attempt % 3 === 1 ? Promise.reject(new Error('later')) : 'done'
  }
  await staysFlat(open(handler, results), record)
})

describe('a module that ends the process', () => {
  /** Runs `code` in a process of its own, with a handler in `handler.mjs`. */
  function run(handler: string, code: string): { status: number | null; lines: Record<string, unknown>[] } {
    const folder = tempFolder()
    writeFileSync(join(folder, 'handler.mjs'), handler)
    writeFileSync(join(folder, 'job.json'), '{"status":"Completed"}')
    const from = (file: string) => JSON.stringify(resolve(import.meta.dirname, '../../src', file))
    const script = `
      const { loadHandler, createModuleHandOver } = await import(${from('handler/module.ts')})
      const { openLog } = await import(${from('telemetry/log.ts')})
      const { createScrub } = await import(${from('telemetry/scrub.ts')})
      const scrub = createScrub([])
      const { log, flush } = openLog({ level: 'info', scrub, terminal: false })
      process.on('exit', flush)
      const handler = await loadHandler(${JSON.stringify(join(folder, 'handler.mjs'))}, { log })
      const handOver = createModuleHandOver(handler, { log, scrub, timeout: 10_000 })
      const record = { job_id: 'job-1', status: 'Failed', job: {}, files: {} }
      ${code}`
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    const lines = ended.stdout.trim().split('\n').filter(Boolean)
    return { status: ended.status, lines: lines.map((line) => JSON.parse(line)) }
  }
  const CALL = 'await handOver({ record, round: 1, attempt: 1 }, new AbortController().signal)'

  it('is named, with the job, in the last line of the log', () => {
    const { status, lines } = run('export default () => process.exit(3)', CALL)
    expect(status).toBe(3)
    expect(lines).toEqual([
      expect.objectContaining({ jobs: ['job-1'], code: 3, msg: expect.stringContaining('process.exit') }),
    ])
  })

  it('while it is loaded, too', () => {
    const { status, lines } = run('process.exit(4)', '')
    expect(status).toBe(4)
    expect(lines).toEqual([
      expect.objectContaining({
        file: expect.stringContaining('handler.mjs'),
        code: 4,
        msg: expect.stringContaining('HANDLER'),
      }),
    ])
  })

  it('is not blamed for the end of a process whose calls are over', () => {
    const { lines } = run('export default () => {}', `${CALL}\nprocess.exit(5)`)
    expect(lines).toEqual([])
  })
})

/** The service's log, with its lines in a list. */
function openLogTo(lines: string[]): { log: Log } {
  const stream = { write: (line: string) => void lines.push(line) }
  return { log: pino({ serializers: errorSerializers(createScrub([API_KEY])) }, stream) }
}

describe('loading a module', () => {
  async function problem(text: string | null, name = 'handler.ts', options: LoadOptions = {}): Promise<string> {
    const file = join(tempFolder(), name)
    if (text !== null) writeFileSync(file, text)
    const error = await loadHandler(file, options).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(HandlerUnusable)
    return error.message.replace(file, 'FILE')
  }

  it('takes a function as the default export', async () => {
    const file = join(tempFolder(), 'handler.mjs')
    writeFileSync(file, 'export default async () => {}')
    expect(await loadHandler(file)).toBeTypeOf('function')
  })

  it('says what is wrong, where, and what to do', async () => {
    expect(await problem(null)).toBe('there is no file FILE')
    expect(await problem('export const handle = () => {}')).toContain('must export its handler: export default')
    expect(await problem('export default { handle() {} }')).toContain('must export its handler')
    expect(await problem("import nothing from 'no-such-package'\nexport default nothing")).toMatch(
      /FILE imports the package no-such-package, which is not installed: npm install no-such-package/,
    )
    expect(await problem("import './other'\nexport default () => {}")).toMatch(
      /other.* which does not exist: write the full file name/,
    )
    expect(await problem('export default () => {}\nthrow new Error("no settings")')).toBe(
      'FILE:2: it failed when it was loaded: no settings',
    )
  })
  it.each([
    ['handler.mjs', 'export default async () => 7'],
    ['handler.cjs', 'module.exports = async () => 7'],
    [
      'compiled.cjs',
      '"use strict"; Object.defineProperty(exports, "__esModule", { value: true }); exports.default = async () => 7',
    ],
    [
      'bundled.cjs',
      'module.exports = Object.defineProperty({ __esModule: true }, "default", { get: () => async () => 7, enumerable: true })',
    ],
    ['object.cjs', 'module.exports = { default: async () => 7, other: 1 }'],
  ])('takes the default export of %s', async (name, text) => {
    const file = join(tempFolder(), name)
    writeFileSync(file, text)
    const handler = (await loadHandler(file)) as () => unknown
    expect(await handler()).toBe(7)
  })

  it.each([
    ['handler.mjs', 'export const handle = () => {}, other = 1', /no default export \(it exports handle, other\)$/],
    [
      'handler.cjs',
      'exports.handle = () => {}',
      /default export is of type object, not a function \(it exports handle\)$/,
    ],
    ['handler.mjs', 'export default class {}', /default export is a class, not a function$/],
    ['handler.mjs', 'export default null', /default export is null, not a function$/],
    ['handler.mjs', '', /it has no default export$/],
  ])('names what %s exports instead: %s', async (name, text, message) => {
    expect(await problem(text, name)).toMatch(message)
  })

  it('takes no longer than HANDLER_TIMEOUT', async () => {
    const text = 'await new Promise(() => {})\nexport default () => {}'
    const message = await problem(text, 'handler.mjs', { timeout: 50 })
    expect(message).toMatch(
      /^FILE was not loaded within 50 ms \(HANDLER_TIMEOUT\): .*top level.*move it into the function/,
    )
    const folder = tempFolder()
    writeFileSync(join(folder, 'deep.mjs'), 'await new Promise(() => {})')
    const imports = `import ${JSON.stringify(join(folder, 'deep.mjs'))}\nexport default () => {}`
    expect(await problem(imports, 'handler.mjs', { timeout: 50 })).toMatch(/was not loaded within 50 ms/)
  })

  it('ends when the service stops meanwhile', async () => {
    const file = join(tempFolder(), 'handler.mjs')
    writeFileSync(file, 'await new Promise(() => {})\nexport default () => {}')
    const stopping = new AbortController()
    const loading = loadHandler(file, { signal: stopping.signal })
    stopping.abort()
    await expect(loading).rejects.toBe(stopping.signal.reason)
    expect(getEventListeners(stopping.signal, 'abort')).toEqual([])
  })

  it.each([
    ['null', 'null'],
    ['undefined', 'undefined'],
    ['"no settings"', 'no settings'],
    ['{ code: 7 }', '{ code: 7 }'],
    ['new Error("outer", { cause: new Error("inner") })', 'outer (inner)'],
    ['new Proxy({}, { get() { throw 1 } })', '{}'],
    ['new Error("at https://u:SENTINEL@h.example/k?SENTINEL")', 'at https://h.example/k'],
  ])('tells what it throws: %s', async (thrown, told) => {
    const message = await problem(`throw ${thrown}`, 'handler.mjs')
    expect(message.replace(/^FILE(:1)?: it failed when it was loaded: /, '')).toBe(told)
  })
})
