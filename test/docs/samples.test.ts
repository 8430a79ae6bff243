import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { tempFolder } from '../support/temp.ts'
import { PAGES, ROOT, read } from './support.ts'

/** The code that the pages show compiles, and the handler of README.md does what the page says. */

const run = promisify(execFile)

function samples(page: string): string[] {
  return [...read(page).matchAll(/^ *```ts\n([\s\S]*?)^ *```$/gm)].map(([, code]) => code!)
}

/** A project as a reader has it: the sources, and the samples in `handlers/`. Returns its folder and the samples' names. */
function projectWithSamples(): { folder: string; names: string[] } {
  const folder = tempFolder()
  for (const path of ['src', 'package.json']) cpSync(join(ROOT, path), join(folder, path), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  mkdirSync(join(folder, 'handlers'))
  const codes = PAGES.flatMap((page) => samples(page).map((code, index) => [page, index, code] as const))
  const names = codes.map(([page, index, code]) => {
    const name = `${page.replaceAll(/\W/g, '-')}-${index}.ts`
    writeFileSync(join(folder, 'handlers', name), code)
    return name
  })
  return { folder, names }
}

it('compiles', async () => {
  const { folder, names } = projectWithSamples()
  expect(names.length).toBeGreaterThanOrEqual(4)
  const config = { ...JSON.parse(read('tsconfig.json')), include: ['handlers'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const tsc = run(join(ROOT, 'node_modules/.bin/tsc'), ['--noEmit', '--pretty', 'false'], { cwd: folder })
  const { stdout } = await tsc.catch((error: { stdout: string }) => error)
  expect(stdout).toBe('')
}, 60_000)

it('the handler of README.md takes the sample that the page runs it on', async () => {
  const { folder } = projectWithSamples()
  const [, code = ''] = /```ts\n(\/\/ handlers\/invoice\.ts\n[\s\S]*?)```/.exec(read('README.md'))!
  writeFileSync(join(folder, 'handlers/invoice.ts'), code)
  const command = ['src/bin.js', 'handle', 'handlers/invoice.ts', '--sample', 'extract', '--json']
  const { stdout } = await run(process.execPath, command, { cwd: folder })
  expect(JSON.parse(stdout)).toMatchObject({ type: 'Extract', outcome: 'taken' })
}, 60_000)
