import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { tempFolder } from '../support/temp.ts'
import { PAGES, ROOT, read } from './support.ts'

/** The code that the pages show compiles, and the handler of README.md does what the page says. */

const run = promisify(execFile)

function samples(page: string): string[] {
  return [...read(page).matchAll(/^ *```ts\n([\s\S]*?)^ *```$/gm)].map(([, code]) => code!)
}

/** The name that a sample gives its file in its first line. */
function nameOf(code: string): string | undefined {
  return /^\/\/ ([\w./-]+\.ts)$/m.exec(code.split('\n', 1)[0]!)?.[1]
}

/** A project as a reader has it: the sources, and below `samples/` a folder for each page. Returns it, and how many there are. */
function projectWithSamples(): { folder: string; count: number } {
  const folder = tempFolder()
  for (const path of ['src', 'package.json']) cpSync(join(ROOT, path), join(folder, path), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const codes = PAGES.flatMap((page) => samples(page).map((code, index) => ({ page, index, code })))
  for (const { page, index, code } of codes) {
    const file = join(folder, 'samples', page.replaceAll(/\W/g, '-'), nameOf(code) ?? `sample-${index}.ts`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, code)
  }
  return { folder, count: codes.length }
}

it('compiles', async () => {
  const { folder, count } = projectWithSamples()
  expect(count).toBeGreaterThanOrEqual(4)
  const config = { ...JSON.parse(read('tsconfig.json')), include: ['samples'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const tsc = run(join(ROOT, 'node_modules/.bin/tsc'), ['--noEmit', '--pretty', 'false'], { cwd: folder })
  const { stdout } = await tsc.catch((error: { stdout: string }) => error)
  expect(stdout).toBe('')
}, 60_000)

it('the handler of README.md takes the sample that the page runs it on', async () => {
  const { folder } = projectWithSamples()
  const command = ['src/bin.js', 'handle', 'samples/README-md/handlers/invoice.ts', '--sample', 'extract', '--json']
  const { stdout } = await run(process.execPath, command, { cwd: folder })
  expect(JSON.parse(stdout)).toMatchObject({ type: 'Extract', outcome: 'taken' })
}, 60_000)
