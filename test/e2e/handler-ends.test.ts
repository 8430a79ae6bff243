import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { spawnReceiver } from '../support/process.ts'
import { tempFolder } from '../support/temp.ts'

/** A handler that ends the process, or leaves it nothing to wait for, is never taken for one that works. */

async function withHandler(command: 'handle' | 'demo', source: string) {
  const [folder, temporary] = [tempFolder(), tempFolder()]
  const file = join(folder, 'handler.mjs')
  writeFileSync(file, source)
  const args = command === 'handle' ? ['handle', file] : ['demo', '--once']
  const env = { TMPDIR: temporary, HANDLER_TIMEOUT: '1s', ...(command === 'demo' ? { HANDLER: file } : {}) }
  const receiver = spawnReceiver(args, env, folder)
  return { code: await receiver.exited, output: receiver.output(), left: readdirSync(temporary) }
}

const ENDS: readonly (readonly [string, string])[] = [
  ['in the call', 'export default () => process.exit(0)'],
  ['while it loads', 'process.exit(0)'],
  ['with the code of wrong settings', 'export default () => process.exit(78)'],
  ['with the code of wrong use', 'process.exit(2)'],
  ['after its first await', 'export default async () => { await null; process.exitCode = 0; process.exit() }'],
]

describe('handle', () => {
  it.each(ENDS)('a handler that ends the process %s: exit 1, with a sentence', async (_, source) => {
    const { code, output, left } = await withHandler('handle', source)
    expect(output).toMatch(/the handler or a package of it ended the process \(exit code \d+\)/)
    expect(code).toBe(1)
    expect(left).toEqual([])
  })

  it.each([
    ['a call', 'export default () => new Promise(() => {})', 'the handler took longer than 1000 ms'],
    ['a load', 'await new Promise(() => {}); export default () => {}', 'was not loaded within 1000 ms'],
  ])('%s that never settles with nothing left to wait for: exit 1, with a sentence', async (_, source, sentence) => {
    const { code, output } = await withHandler('handle', source)
    expect(output).toMatch(sentence)
    expect(code).toBe(1)
  })

  it('a call that is broken off with Ctrl-C leaves nothing', async () => {
    const [folder, temporary] = [tempFolder(), tempFolder()]
    const file = join(folder, 'handler.mjs')
    writeFileSync(file, `export default (_, { log }) => { log.info('called'); return new Promise(() => {}) }`)
    const receiver = spawnReceiver(['handle', file], { TMPDIR: temporary }, folder)
    await receiver.line((line) => line.msg === 'called')
    await receiver.end('SIGINT')
    expect(receiver.child.signalCode).toBe('SIGINT')
    expect(readdirSync(temporary)).toEqual([])
  })

  it('a handler that returns is no such end', async () => {
    const { code, output } = await withHandler('handle', 'export default () => {}')
    expect(output).not.toMatch('ended the process')
    expect(code).toBe(0)
  })
})

describe('demo --once', () => {
  it('a handler that ends the process: exit 1, with a sentence', async () => {
    const { code, output } = await withHandler('demo', ENDS[0]![1])
    expect(output).toMatch('The handler or a package of it ended the process (exit code 0)')
    expect(code).toBe(1)
  })
})
