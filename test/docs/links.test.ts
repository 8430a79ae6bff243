import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { anchorOf, filesBelow, PAGES, ROOT, read } from './support.ts'

/** Every link, file and script that a page names is there. */

/** Pages that are linked to and are written elsewhere; they are checked as soon as they are there. */
const MAY_BE_ABSENT: ReadonlySet<string> = new Set(['docs/library.md', 'docs/deployment.md'])

/** Files that users make, or that the service makes for them. */
const OF_USERS: ReadonlySet<string> = new Set([
  ...['handlers/invoice.ts', 'handlers/chunks.ts'],
  ...['record.json', 'job.json'],
  ...['compose.override.yaml', 'render.yaml', 'railway.json'],
])

/** Files of earlier versions, for whoever comes from one. */
const FORMER: ReadonlySet<string> = new Set(['deploy/compose.yaml'])

/** A call of the command: by its name with npx, or as `receiver` in a container of that name. */
const COMMAND =
  /(?:npx (?:--no-install )?reducto-webhook-receiver|\breceiver receiver|-- receiver) ([a-z][a-z-]*)(?: ([a-z]+))?/g

/** A page without its code blocks. */
function prose(page: string): string {
  return page.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
}

function codeBlocks(page: string): string {
  return (page.match(/^ *```[\s\S]*?^ *```$/gm) ?? []).join('\n')
}

function anchorsOf(page: string): Set<string> {
  const seen = new Map<string, number>()
  const headings = prose(page)
    .split('\n')
    .flatMap((line) => /^#{1,6} +(.+?)\s*$/.exec(line)?.[1] ?? [])
  return new Set(
    headings.map((heading) => {
      const anchor = anchorOf(heading)
      const before = seen.get(anchor) ?? 0
      seen.set(anchor, before + 1)
      return before === 0 ? anchor : `${anchor}-${before}`
    }),
  )
}

type Link = { readonly path: string; readonly anchor: string | null }

/** The links of a page that lead into this repository, by the path from its root. */
function linksOf(page: string): Link[] {
  const targets = [...prose(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor = null] = target.split('#')
      return { path: path === '' ? page : normalize(join(dirname(page), path)), anchor }
    })
}

describe.each(PAGES)('%s', (page) => {
  it('links to what is there, anchors included', () => {
    for (const { path, anchor } of linksOf(page)) {
      if (MAY_BE_ABSENT.has(path) && !existsSync(join(ROOT, path))) continue
      expect(existsSync(join(ROOT, path)), `${page} links to ${path}`).toBe(true)
      if (anchor !== null) expect([...anchorsOf(read(path))], `${page} links to ${path}#${anchor}`).toContain(anchor)
    }
  })

  it('names files that are there', () => {
    const folders = [...read(page).matchAll(/`((?:src|test|docs|deploy|bench|handlers|\.github|\.ci)\/[\w./@-]*)`/g)]
    const files = [...read(page).matchAll(/(?<![\w./-])((?:src|test|docs|deploy|bench|handlers)\/[\w./-]+\.[a-z]+)\b/g)]
    const atRoot = [...read(page).matchAll(/`([\w.-]+\.(?:json|md|yaml|example)|Dockerfile|\.editorconfig)`/g)]
    for (const [, path] of [...folders, ...files, ...atRoot]) {
      if ([OF_USERS, FORMER, MAY_BE_ABSENT].some((known) => known.has(path!))) continue
      const places = [join(ROOT, path!), join(ROOT, dirname(page), path!)]
      const isThere = places.some(existsSync) || filesBelow('deploy').some((file) => file.endsWith(`/${path}`))
      expect(isThere, `${page} names ${path}`).toBe(true)
    }
  })

  it('names scripts and commands that are there', () => {
    const text = read(page)
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    for (const [, script] of text.matchAll(/\bnpm run ([\w:-]+)/g))
      expect(Object.keys(scripts), `${page}: npm run ${script}`).toContain(script)
    const names = COMMANDS.map(({ spec }) => spec.name)
    for (const [, command, subcommand] of text.matchAll(COMMAND)) {
      const isGroup = names.some((name) => name.startsWith(`${command} `))
      expect(names, `${page}: ${command} ${subcommand}`).toContain(isGroup ? `${command} ${subcommand}` : command)
    }
  })

  it('names no machine, no ticket, and nothing that is not in this repository', () => {
    expect(read(page)).not.toMatch(/\/work\/|\/tmp\/|\bFACTS\b|\bHOUSE\.md|CONTRACT\.md|\bissue \d|\bC\d\b/)
  })
})

describe('anchors', () => {
  it.each([
    ['What is promised, and how', 'what-is-promised-and-how'],
    ['`refused` in the log', 'refused-in-the-log'],
    ['`/readyz`', 'readyz'],
    ['Signatures (401)', 'signatures-401'],
    ['`files.jsonl`', 'filesjsonl'],
  ])('%s', (heading, anchor) => expect(anchorOf(heading)).toBe(anchor))
})

it('README.md is short', () => {
  expect(read('README.md').split(/\s+/).filter(Boolean).length).toBeLessThanOrEqual(1_500)
})

it('every page can be found from README.md', () => {
  const found = new Set(['README.md'])
  for (const page of found)
    for (const { path } of linksOf(page)) if (path.endsWith('.md') && existsSync(join(ROOT, path))) found.add(path)
  expect(PAGES.filter((page) => !found.has(page))).toEqual([])
})

it('the code cites pages that are there', () => {
  for (const file of [...filesBelow('src'), ...filesBelow('test'), ...filesBelow('bench')]) {
    if (!/\.[jt]s$/.test(file)) continue
    const text = readFileSync(join(ROOT, file), 'utf8')
    for (const [, path, anchor] of text.matchAll(/\b(docs\/[\w/-]+\.md)(?:#([\w-]+))?/g)) {
      if (MAY_BE_ABSENT.has(path!)) continue
      expect(existsSync(join(ROOT, path!)), `${file} cites ${path}`).toBe(true)
      if (anchor) expect([...anchorsOf(read(path!))], `${file} cites ${path}#${anchor}`).toContain(anchor)
    }
  }
})

it('commands in code blocks call the package by its own name, and install no stranger’s', () => {
  for (const page of PAGES)
    for (const [call] of codeBlocks(read(page)).matchAll(/npx .{0,40}reducto-webhook-receiver/g))
      expect(call, page).toContain('--no-install')
})
