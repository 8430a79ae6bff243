import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * `npm pack` calls it before and after. A checkout runs from src, without a build; a package cannot, since Node strips no
 * types below node_modules. So the package gets JavaScript, and a manifest that points to it instead of to src: npm packs
 * the manifest that it finds, so the checkout's own is put aside meanwhile.
 */

const ROOT = resolve(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')
const MANIFEST = join(ROOT, 'package.json')
/** What the operator's pages load in a browser. */
const ASSETS = 'src/operator/assets'
/** The checkout's manifest, while a package is made. */
const ASIDE = join(ROOT, '.package.json.checkout')

type Manifest = {
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

/** What only a checkout needs. */
const OF_THE_CHECKOUT = ['scripts', 'devDependencies', 'allowScripts']
/** These stay: npm reads them before it calls the first, so that a pack after an interrupted one mends the checkout. */
const SCRIPTS = ['prepack', 'postpack']

function before(): void {
  if (existsSync(ASIDE)) restore()
  build()
  const text = readFileSync(MANIFEST, 'utf8')
  const manifest = JSON.parse(text) as Manifest
  for (const path of [...Object.values(manifest.bin), ...Object.values(manifest.exports)]) checkBuilt(path)
  write(ASIDE, text)
  write(MANIFEST, packed(manifest))
}

function after(): void {
  renameSync(ASIDE, MANIFEST)
}

/** After a pack that was interrupted. */
function restore(): void {
  const [aside, found] = [readFileSync(ASIDE, 'utf8'), readFileSync(MANIFEST, 'utf8')]
  if (found !== aside && found !== packed(JSON.parse(aside) as Manifest))
    throw new Error(
      `package.json was changed after a pack that was interrupted: move what it lacks over from ${ASIDE}, then delete that file`,
    )
  after()
}

/** The whole text or none: a manifest that is cut off is one that is lost. */
function write(path: string, text: string): void {
  const whole = join(DIST, 'package.json.new')
  writeFileSync(whole, text)
  renameSync(whole, path)
}

function build(): void {
  rmSync(DIST, { recursive: true, force: true })
  execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
    cwd: ROOT,
    // What npm pack prints is read by scripts.
    stdio: ['ignore', 2, 2],
  })
  // Read by name, not imported.
  cpSync(join(ROOT, ASSETS), join(DIST, ASSETS.replace(/^src\//, '')), {
    recursive: true,
    filter: (path) => !path.endsWith('tsconfig.json'),
  })
  for (const file of readdirSync(DIST, { recursive: true, encoding: 'utf8' }))
    if (file.endsWith('.d.ts')) nameJavaScript(join(DIST, file))
}

/** The compiler renames what JavaScript imports, and leaves what declarations import as it is. */
function nameJavaScript(declarations: string): void {
  const text = readFileSync(declarations, 'utf8')
  writeFileSync(declarations, text.replaceAll(/((?:from|import\() ?['"]\.[^'"]*)\.ts(?=['"])/g, '$1.js'))
}

/** The text of the package's manifest. */
function packed(manifest: Manifest): string {
  const kept = Object.entries(manifest).filter(([field]) => !OF_THE_CHECKOUT.includes(field))
  const faces = Object.entries(manifest.exports).map(([face, path]) => {
    const built = inDist(path)
    return [face, { types: built.replace(/\.js$/, '.d.ts'), default: built }]
  })
  const bin = Object.entries(manifest.bin).map(([name, path]) => [name, inDist(path)])
  const scripts = Object.entries(manifest.scripts).filter(([name]) => SCRIPTS.includes(name))
  const own = {
    ...Object.fromEntries(kept),
    bin: Object.fromEntries(bin),
    exports: Object.fromEntries(faces),
    scripts: Object.fromEntries(scripts),
  }
  return `${JSON.stringify(own, null, 2)}\n`
}

/** `./src/index.ts` → `./dist/index.js` */
function inDist(path: string): string {
  return path.replace(/^(\.\/)?src\//, '$1dist/').replace(/\.ts$/, '.js')
}

function checkBuilt(path: string): void {
  const built = inDist(path)
  if (!existsSync(join(ROOT, built))) throw new Error(`${path} of package.json was not built as ${built}`)
}

const [command] = process.argv.slice(2)
if (command === 'before') before()
else if (command === 'after') after()
else throw new Error('scripts/package.ts takes before or after')
