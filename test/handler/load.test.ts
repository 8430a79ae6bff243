import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { spawnReceiver } from '../support/process.ts'
import { testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** A handler that cannot be loaded, in the real service as a user starts it. */

async function start(handler: string, env: Record<string, string> = {}) {
  const folder = tempFolder()
  const file = join(folder, 'handler.mjs')
  writeFileSync(file, handler)
  const settings = testEnv(folder, await testReducto(), newSecret())
  return { file, service: spawnReceiver(['serve'], { ...settings, HANDLER: file, ...env }) }
}

describe('the service with a handler that', () => {
  it('never loads ends with wrong settings, and names it', async () => {
    const { file, service } = await start('await new Promise(() => {})\nexport default () => {}', {
      HANDLER_TIMEOUT: '1s',
    })
    expect(await service.exited).toBe(78)
    expect(service.output()).toContain(`HANDLER: ${file} was not loaded within 1000 ms (HANDLER_TIMEOUT)`)
  })

  it('throws null when it is loaded says so', async () => {
    const { file, service } = await start('throw null')
    expect(await service.exited).toBe(78)
    expect(service.output()).toContain(`HANDLER: ${file}: it failed when it was loaded: null`)
  })

  it('is still being loaded stops at once when it is told to', async () => {
    // It says when it is being loaded, as any module may.
    const text = 'console.log(JSON.stringify({ msg: "loading" }))\nawait new Promise(() => {})\nexport default () => {}'
    const { service } = await start(text)
    await service.line(({ msg }) => msg === 'loading')
    expect(await service.end('SIGTERM')).toBe(0)
  })

  // Its package.json is of a project that Node reads as CommonJS.
  it.each([
    [
      'imports',
      'h.ts',
      "import { z } from 'zod'\nexport default async (_: unknown) => {}",
      'give that package.json "type": "module"',
    ],
    ['exports', 'h.js', 'export default async () => {}', 'give that package.json "type": "module"'],
    ['requires a package', 'h.js', "require('not-installed')\nmodule.exports = () => {}", 'npm install not-installed'],
  ])('%s in a CommonJS project is told what to change', async (_what, name, text, cure) => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'package.json'), '{"type":"commonjs"}')
    writeFileSync(join(folder, name), text)
    const settings = testEnv(folder, await testReducto(), newSecret())
    const service = spawnReceiver(['serve'], { ...settings, HANDLER: join(folder, name) })
    expect(await service.exited).toBe(78)
    expect(service.output()).toContain(cure)
  })
})
