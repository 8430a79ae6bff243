import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT, read, section } from './docs/support.ts'
import { tempFolder } from './support/temp.ts'

/** The recipes of CONTRIBUTING.md are true: what they name is there, and some are walked on a copy of the tree. */

const run = promisify(execFile)
const contributing = read('CONTRIBUTING.md')
const titles = [...section(contributing, 'Recipes').matchAll(/^### (.+)$/gm)].map(([, title]) => title!)

const isFile = (code: string) => /^(?:src|test|docs)\/[\w./-]+\.[a-z]+$|^\.env\.example$/.test(code)
/** Commands, options and folders are no names in a file. */
const isName = (code: string) => !/^(?:npx |npm |--)|\/$/.test(code)

/** The steps of a recipe, each with the files that it names and what is to be found there. */
function stepsOf(title: string) {
  const [, ...steps] = `\n${section(contributing, title)}`.split(/\n(?=\d+\. |\n(?!\s))/)
  return steps.map((text) => {
    const codes = [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!.replaceAll(/\s+/g, ' '))
    return { text, files: codes.filter(isFile), names: codes.filter((code) => !isFile(code) && isName(code)) }
  })
}

function filesOf(title: string): string[] {
  return stepsOf(title).flatMap(({ files }) => files)
}

describe('a recipe names files that are there, and what is in them', () => {
  it.each(titles)('%s', (title) => {
    const steps = stepsOf(title)
    expect(steps.length).toBeGreaterThan(1)
    for (const { text, files, names } of steps) {
      for (const file of files) expect(existsSync(join(ROOT, file)), `${title}: ${file}`).toBe(true)
      if (files.length === 0) continue
      const contents = files.map(read).join('\n')
      for (const name of names) expect(contents.includes(name), `${title}: ${name} in ${files}\n${text}`).toBe(true)
    }
  })

  it('covers the changes that people ask for', () => expect(titles.length).toBeGreaterThanOrEqual(10))
})

/** A copy of the sources, and of those tests that a recipe sends the type checker to. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'receiver-recipes-'))
  for (const path of ['src', 'test', 'package.json']) cpSync(join(ROOT, path), join(copy, path), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  const include = ['src', 'test/answer/scan.test.ts', 'test/results/saved.ts']
  writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify({ ...JSON.parse(read('tsconfig.json')), include }))
  return copy
}

/** Puts `to` in the place of `from`, which is there once. */
function edit(copy: string, file: string, from: string, to: string): void {
  const text = readFileSync(join(copy, file), 'utf8')
  expect(text.split(from).length - 1, `${file} has this once: ${from}`).toBe(1)
  writeFileSync(
    join(copy, file),
    text.replace(from, () => to),
  )
}

/** The files that the type checker complains about. */
async function complaints(copy: string): Promise<string[]> {
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const { stdout } = await run(tsc, ['--noEmit', '--pretty', 'false'], { cwd: copy }).catch((error) => error)
  return [
    ...new Set([...String(stdout).matchAll(/^([\w./-]+)\(\d+,\d+\): error/gm)].map(([, file]) => file!)),
  ].toSorted()
}

/** What a script prints that runs on the copy, as JSON. */
async function evaluate(copy: string, script: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd: copy })
  return JSON.parse(stdout)
}

/** The first step of each recipe, after which the type checker must lead to the others. */
function beginAll(copy: string): void {
  edit(copy, 'src/answer/kinds.ts', "| 'Classify'\n", "| 'Classify' | 'Redact'\n")
  edit(copy, 'src/simulator/documents/documents.ts', "| 'classify'\n", "| 'classify' | 'redact'\n")
  edit(copy, 'src/simulator/documents/documents.ts', "  'classify',\n]", "  'classify',\n  'redact',\n]")
  edit(
    copy,
    'src/settings/config.ts',
    '  readonly logLevel: string\n',
    '  readonly logLevel: string\n  readonly exampleLimit: number\n',
  )
  edit(
    copy,
    'src/settings/stores.ts',
    'export type ResultsConfig =\n',
    "export type ResultsConfig =\n  | { readonly kind: 'cloud'; readonly folder: string }\n",
  )
  edit(
    copy,
    'src/results/open.ts',
    'export type ResultsChoice = ',
    "export type ResultsChoice = { readonly kind: 'cloud'; readonly folder: string } | ",
  )
  edit(
    copy,
    'src/results/record.ts',
    '  readonly svix_id: string | null\n',
    '  readonly svix_id: string | null\n  readonly pages: number | null\n',
  )
  edit(
    copy,
    'src/http/routes.ts',
    "type Caller = 'anyone' | 'signed' | ",
    "type Caller = 'anyone' | 'signed' | 'neighbour' | ",
  )
  edit(copy, 'src/reducto/errors.ts', "readonly kind: 'unknown_job' |", "readonly kind: 'withheld' | 'unknown_job' |")
}

/** The other steps. */
function finishAll(copy: string): void {
  edit(
    copy,
    'src/answer/kinds.ts',
    '  // An empty page has no chunks',
    `  Redact: { responseTypes: ['redact'], recognisedBy: [['result/boxes:array']], part: 'boxes', has: { any: { boxes: 'array' } } },
  // An empty page has no chunks`,
  )
  edit(
    copy,
    'src/simulator/documents/documents.ts',
    "    case 'classify':\n",
    "    case 'redact':\n      return { type: 'Redact', result: { response_type: 'redact', result: { boxes: [] } } }\n    case 'classify':\n",
  )
  edit(copy, 'test/answer/scan.test.ts', '    classify: [', '    redact: [],\n    classify: [')
  edit(
    copy,
    'src/settings/settings.ts',
    '  LOG_LEVEL: setting(',
    "  EXAMPLE_LIMIT: setting(wholeNumber(1, 10), { default: '5', group: 'The process', doc: 'A limit.' }),\n  LOG_LEVEL: setting(",
  )
  edit(
    copy,
    'src/settings/config.ts',
    "  logLevel: from(['LOG_LEVEL']",
    "  exampleLimit: from(['EXAMPLE_LIMIT'], (set) => set.EXAMPLE_LIMIT),\n  logLevel: from(['LOG_LEVEL']",
  )
  edit(
    copy,
    'src/settings/own-settings.ts',
    '  shutdownGrace: true,\n',
    '  shutdownGrace: true,\n  exampleLimit: true,\n',
  )
  edit(
    copy,
    'src/settings/stores.ts',
    "  if (text.startsWith('s3:')) return bucketUrl(text)\n",
    "  if (text.startsWith('cloud:')) return { kind: 'cloud', folder: text.slice('cloud:'.length) }\n  if (text.startsWith('s3:')) return bucketUrl(text)\n",
  )
  edit(
    copy,
    'src/settings/stores.ts',
    "  return results.kind === 'file' ?",
    "  if (results.kind === 'cloud') return results.folder\n  return results.kind === 'file' ?",
  )
  writeFileSync(
    join(copy, 'src/results/cloud.ts'),
    `import { createFileResults } from './file.ts'
     import type { OpenResultsOptions } from './open.ts'
     import type { Results } from './results.ts'
     export function createCloudResults({ folder }: { readonly folder: string }, options: OpenResultsOptions): Results {
       return createFileResults({ root: folder, ...options })
     }`,
  )
  edit(
    copy,
    'src/results/open.ts',
    "  if (choice.kind === 'file')",
    "  if (choice.kind === 'cloud') return (await import('./cloud.ts')).createCloudResults(choice, options)\n  if (choice.kind === 'file')",
  )
  edit(
    copy,
    'src/worker/run-fetch.ts',
    '      svix_id: claim.svixId,\n',
    '      svix_id: claim.svixId,\n      pages: null,\n',
  )
  edit(copy, 'src/doctor/results.ts', 'svix_id: null,', 'svix_id: null, pages: null,')
  edit(copy, 'test/results/saved.ts', '    svix_id: ', '    pages: null,\n    svix_id: ')
  edit(
    copy,
    'src/http/app.ts',
    '{ anyone: [], signed: [], ...(operator',
    '{ anyone: [], signed: [], neighbour: [], ...(operator',
  )
  edit(
    copy,
    'src/worker/classify.ts',
    "    case 'unreadable':\n",
    "    case 'withheld':\n      return job({ is: 'dead', reason: { code: 'withheld', message } })\n    case 'unreadable':\n",
  )
}

describe('walked on a copy', () => {
  const copy = copyTree()
  afterAll(() => rmSync(copy, { recursive: true, force: true }))
  let led: string[] = []
  let left: string[] = []
  beforeAll(async () => {
    beginAll(copy)
    led = await complaints(copy)
    finishAll(copy)
    left = await complaints(copy)
  }, 60_000)

  it.each([
    [
      'Add a kind of Reducto job',
      ['src/answer/kinds.ts', 'src/simulator/documents/documents.ts', 'test/answer/scan.test.ts'],
    ],
    ['Add a setting', ['src/settings/config.ts', 'src/settings/own-settings.ts']],
    ['Add a result store', ['src/results/open.ts', 'src/settings/stores.ts']],
    ['Add a field to the record', ['src/worker/run-fetch.ts', 'src/doctor/results.ts', 'test/results/saved.ts']],
    ['Forbid an endpoint by address', ['src/http/app.ts']],
    ['Change what an HTTP status of Reducto means', ['src/worker/classify.ts']],
  ])('%s: after the first step the type checker leads to files that the recipe names', (title, files) => {
    expect(led).toEqual(expect.arrayContaining(files))
    expect(filesOf(title)).toEqual(expect.arrayContaining(files))
  })

  it('the type checker asks for no file that no recipe names', () => {
    const named = new Set(titles.flatMap(filesOf))
    expect(led.filter((file) => !named.has(file))).toEqual([])
  })

  it('after all steps the type checker has nothing left to say', () => expect(left).toEqual([]))

  it('the setting is read, checked, and missed in .env.example and docs/settings.md', async () => {
    const found = await evaluate(
      copy,
      `import { loadConfig } from './src/settings/config.ts'
       import { exampleFile } from './src/settings/example.ts'
       import { withSettings } from './src/settings/page.ts'
       const page = ${JSON.stringify(read('docs/settings.md'))}
       let problems = []
       try { loadConfig({ EXAMPLE_LIMIT: '11' }, ['exampleLimit']) } catch (error) { problems = error.problems }
       const made = loadConfig({}, ['exampleLimit']).exampleLimit
       console.log(JSON.stringify({ made, problems, example: exampleFile(), page: withSettings(page) }))`,
    )
    expect(found).toMatchObject({ made: 5, problems: [expect.stringMatching(/^EXAMPLE_LIMIT: .*from 1 to 10/)] })
    const { example, page } = found as { example: string; page: string }
    expect(example).toContain('# EXAMPLE_LIMIT=5')
    expect(page).toContain('| `EXAMPLE_LIMIT` | `5` | A limit. |')
    for (const [name, made] of [
      ['.env.example', example],
      ['docs/settings.md', page],
    ] as const)
      expect(read(name), name).not.toBe(made)
  }, 30_000)

  it('the kind is told, and what it lacks is told too', async () => {
    const found = await evaluate(
      copy,
      `import { createScanThread } from './src/answer/scan-thread.ts'
       const { scan, close } = createScanThread()
       const readings = []
       for (const result of [{ boxes: [] }, {}]) {
         const scanning = scan('job')
         await scanning.write(Buffer.from(JSON.stringify({ status: 'Completed', result: { response_type: 'redact', result } })))
         readings.push(await scanning.end())
       }
       await close()
       console.log(JSON.stringify(readings.map(({ type, lacks }) => ({ type, lacks }))))`,
    )
    expect(found).toEqual([
      { type: 'Redact', lacks: null },
      { type: 'Redact', lacks: expect.stringContaining('boxes') },
    ])
  }, 30_000)

  it('the store is opened by its URL, and keeps a result', async () => {
    const found = await evaluate(
      copy,
      `import { openResults } from './src/results/open.ts'
       import { loadConfig } from './src/settings/config.ts'
       import { recordOf } from './test/results/saved.ts'
       const { results: choice } = loadConfig({ RESULTS_URL: 'cloud:' + ${JSON.stringify(tempFolder())} }, ['results'])
       const results = await openResults(choice, { minFree: 0 })
       const { signal } = new AbortController()
       const draft = await results.draft('job-1', 1, { signal })
       const bytes = async function* (text) { yield Buffer.from(text) }
       const job = await draft.write('job.json', bytes('{}'))
       const files = { ...(await draft.write('files.jsonl', bytes(''))), count: 0, failed: 0 }
       await draft.commit({ ...recordOf('job-1'), job, files }, { replace: false })
       const { job_id, pages } = await results.record('job-1', signal)
       console.log(JSON.stringify({ kind: choice.kind, job_id, pages }))`,
    )
    expect(found).toEqual({ kind: 'cloud', job_id: 'job-1', pages: null })
  }, 30_000)
})
