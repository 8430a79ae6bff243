import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createWalkThread } from '../../src/answer/walk-thread.ts'
import { type Context, type Handler, Permanent, type Result } from '../../src/handler/handler.ts'
import { createModuleHandOver, HandlerUnusable, loadHandler } from '../../src/handler/module.ts'
import type { Results } from '../../src/results/results.ts'
import { tempFolder } from '../support/temp.ts'
import { type Behaviour, handOverContract, savedResult } from './contract.ts'

const silent = pino({ level: 'silent' })

function open(handler: Handler, results: Results, timeout = 10_000) {
  const walk = createWalkThread()
  onTestFinished(() => walk.close())
  return createModuleHandOver(handler, { results, walk, timeout, log: silent })
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
    const handler: Handler = (...args) => {
      got = args
    }
    await call(handler, 3)
    const [result, context] = got!
    expect(result).toMatchObject({ status: 'Completed', record: { job_id: 'job-1' } })
    expect(context).toMatchObject({ attempt: 3, signal: expect.any(AbortSignal) })
    await call(handler, 1, { status: 'Failed', reason: 'empty' })
    expect(got![0]).toMatchObject({ status: 'Failed', reason: 'empty' })
    expect(got![0]).not.toHaveProperty('job')
    expect((await got![0].rawJob()).toString()).toBe('{"status":"Completed"}')
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

describe('loading a module', () => {
  async function problem(text: string | null, name = 'handler.ts'): Promise<string> {
    const file = join(tempFolder(), name)
    if (text !== null) writeFileSync(file, text)
    const error = await loadHandler(file).catch((thrown) => thrown)
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
      /other.* which is not there: write the whole name/,
    )
    expect(await problem('export default () => {}\nthrow new Error("no settings")')).toBe(
      'FILE:2: it failed when it was loaded: no settings',
    )
  })
})
