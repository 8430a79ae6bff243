import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const MODULES = join(ROOT, 'node_modules')
const PACKAGE = 'reducto-webhook-receiver'

type Manifest = {
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

const manifestIn = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

const folders: string[] = []

/** For all tests here. */
function suiteFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'receiver-test-'))
  folders.push(folder)
  return folder
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A copy of the checkout: packing one changes its package.json for a moment, and other tests read that. */
function checkout(): string {
  const copy = suiteFolder()
  const own = (name: string) => /^(src|scripts|docs|[^.].*\.(json|md)|LICENSE|\.env\.example)$/.test(name)
  for (const name of readdirSync(ROOT).filter(own)) cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  symlinkSync(MODULES, join(copy, 'node_modules'))
  return copy
}

function run(folder: string, command: string, ...args: string[]): { readonly out: string; readonly err: string } {
  const err = join(folder, 'stderr')
  const out = execFileSync('sh', ['-c', `"$0" "$@" 2> stderr || { cat stderr >&2; exit 1; }`, command, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: `${join(folder, 'node_modules/.bin')}:${process.env.PATH}`, HOME: folder, NO_COLOR: '1' },
  })
  return { out, err: existsSync(err) ? readFileSync(err, 'utf8') : '' }
}

/** A project that the package is installed in, as npm would do it, with the dependencies of the checkout. */
function install(tarball: string): string {
  const project = suiteFolder()
  const installed = join(project, 'node_modules', PACKAGE)
  mkdirSync(installed, { recursive: true })
  execFileSync('tar', ['xzf', tarball, '--strip-components=1', '-C', installed])
  const { dependencies, bin } = manifestIn(installed)
  for (const name of [...Object.keys(dependencies), '@types/node', '@types/express', 'supertest']) {
    mkdirSync(dirname(join(project, 'node_modules', name)), { recursive: true })
    symlinkSync(join(MODULES, name), join(project, 'node_modules', name))
  }
  mkdirSync(join(project, 'node_modules/.bin'))
  symlinkSync(process.execPath, join(project, 'node_modules/.bin/node'))
  for (const [name, path] of Object.entries(bin as Record<string, string>)) {
    chmodSync(join(installed, path), 0o755)
    symlinkSync(join(installed, path), join(project, 'node_modules/.bin', name))
  }
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'shop', private: true, type: 'module' }))
  return project
}

/** The code of the page, each piece in the file that its first line names. */
function writePage(folder: string): readonly string[] {
  const page = readFileSync(join(ROOT, 'docs/library.md'), 'utf8')
  const pieces = [...page.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)]
  for (const [, file, code] of pieces) writeFileSync(join(folder, file!), code!)
  return pieces.map(([, file]) => file!)
}

describe('the package, packed and installed in a project of somebody else’s', () => {
  let source: string
  let project: string

  beforeAll(() => {
    source = checkout()
    // One that was interrupted has left the manifest of a package behind.
    run(source, 'node', 'scripts/package.ts', 'before')
    expect(manifestIn(source).devDependencies).toBeUndefined()
    const [packed] = JSON.parse(run(source, 'npm', 'pack', '--json').out) as { filename: string }[]
    project = install(join(source, packed!.filename))
  })

  it('packing leaves the checkout as it was, also after a pack that was interrupted', () => {
    expect(readFileSync(join(source, 'package.json'), 'utf8')).toBe(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    expect(existsSync(join(source, '.package.json.checkout'))).toBe(false)
  })

  it('packing never replaces a manifest that somebody has changed meanwhile', () => {
    const copy = checkout()
    const manifest = join(copy, 'package.json')
    const pack = () => run(copy, 'node', 'scripts/package.ts', 'before')
    const changed = readFileSync(manifest, 'utf8').replace('"src/bin.js"', '"src/no-such-file.js"')
    // A pack that fails has not begun.
    writeFileSync(manifest, changed)
    expect(pack).toThrow(/no-such-file/)
    expect(existsSync(join(copy, '.package.json.checkout'))).toBe(false)
    writeFileSync(manifest, readFileSync(join(ROOT, 'package.json'), 'utf8'))
    pack()
    writeFileSync(manifest, changed)
    expect(pack).toThrow(/package\.json was changed after a pack that was interrupted/)
    expect(readFileSync(manifest, 'utf8')).toBe(changed)
    // Interrupted before the manifest was replaced.
    writeFileSync(manifest, readFileSync(join(copy, '.package.json.checkout'), 'utf8'))
    pack()
    run(copy, 'node', 'scripts/package.ts', 'after')
    expect(readFileSync(manifest, 'utf8')).toBe(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  })

  it('has JavaScript with types and no sources, the pinned Node, and no tools', () => {
    const installed = join(project, 'node_modules', PACKAGE)
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' })
    expect(files.filter((file) => /\.ts$/.test(file) && !/\.d\.ts$/.test(file))).toEqual([])
    expect(files).toEqual(expect.arrayContaining(['dist/index.d.ts', 'README.md', 'LICENSE', '.env.example']))
    const { optionalDependencies, devDependencies, scripts } = manifestIn(installed)
    // Nothing runs when it is installed.
    expect(Object.keys(scripts as object)).toEqual(['prepack', 'postpack'])
    expect(optionalDependencies).toEqual(manifestIn(ROOT).optionalDependencies)
    expect(devDependencies).toBeUndefined()
  })

  it('its command runs, without a word on standard error', () => {
    const { version } = manifestIn(ROOT)
    expect(run(project, 'npx', '--no-install', PACKAGE, 'version')).toEqual({ out: `${version}\n`, err: '' })
    const demo = run(project, 'npx', '--no-install', PACKAGE, 'demo', '--once')
    expect(demo.err).toBe('')
    expect(demo.out).toMatch(/9 jobs done, 0 dead, 0 open/)
  })

  it('a handler of the project is called by the command, with the types left out and Permanent imported', () => {
    writeFileSync(
      join(project, 'handler.ts'),
      `import { type Handler, Permanent } from '${PACKAGE}'
       const handle: Handler = (result) => { if (result.status !== 'Completed') throw new Permanent('failed') }
       export default handle`,
    )
    expect(run(project, 'npx', '--no-install', PACKAGE, 'handle', 'handler.ts').out).toMatch(/: taken/)
  })

  it('JavaScript imports it, and so does CommonJS', () => {
    const names = `console.log(Object.keys(all).sort().join())`
    writeFileSync(join(project, 'all.js'), `import * as all from '${PACKAGE}'; ${names}`)
    writeFileSync(join(project, 'all.cjs'), `const all = require('${PACKAGE}'); ${names}`)
    for (const file of ['all.js', 'all.cjs'])
      expect(run(project, 'node', file)).toEqual({ out: 'Permanent,SettingsError,createReceiver,expecting\n', err: '' })
  })

  it('carries what the operator’s pages load in a browser', () => {
    writeFileSync(
      join(project, 'pages.js'),
      `import express from 'express'
       import { createReceiver } from '${PACKAGE}'
       const settings = { SVIX_WEBHOOK_SECRET: 'whsec_${Buffer.alloc(24, 1).toString('base64')}', REDUCTO_API_KEY: 'key', ADMIN_TOKEN: 'a-token-of-an-operator' }
       const receiver = createReceiver({ settings, log: null })
       const server = express().use('/tools', receiver.router).listen(0, '127.0.0.1', async () => {
         const base = 'http://127.0.0.1:' + server.address().port + '/tools/'
         const page = await (await fetch(base + 'sign-in')).text()
         const links = [...page.matchAll(/(?:href|src)="(\\.\\/assets\\/[^"]+)"/g)].map(([, link]) => link)
         const answers = await Promise.all(links.map((link) => fetch(base + link)))
         console.log(links.map((link, at) => link.split('/').at(-1) + ' ' + answers[at].status).sort().join())
         server.close()
         server.closeAllConnections()
       })`,
    )
    expect(run(project, 'node', 'pages.js').out).toBe('icon.svg 200,inter.woff2 200,page.js 200,style.css 200\n')
  })

  it('the code of docs/library.md fits its types, and its test passes', () => {
    expect(writePage(project)).toEqual(['app.ts', 'server.ts', 'settings.ts', 'app.test.ts'])
    writeFileSync(
      join(project, 'wrong.ts'),
      `import { createReceiver } from '${PACKAGE}'
       // @ts-expect-error: no setting
       createReceiver({ settings: { RETENTON: '100d' } })
       // @ts-expect-error: of the service
       createReceiver({ settings: { PORT: 3000 } })
       createReceiver({ settings: { SVIX_WEBHOOK_SECRET_OTHER: 'whsec_', REDUCTO_API_KEY_FILE: '/run/secrets/key' } })`,
    )
    const compilerOptions = {
      module: 'nodenext',
      target: 'esnext',
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      types: ['node'],
    }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
    expect(run(project, 'node', join(MODULES, 'typescript/bin/tsc'), '-p', '.').out).toBe('')
    expect(run(project, 'node', '--test', '--test-reporter=tap', 'app.test.ts').out).toMatch(/^# pass 1$/m)
  })
})
