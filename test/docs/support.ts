import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** Every file below a folder, by its path from the root of the project. */
export function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
}

/** The pages that people read, by their path. */
export const PAGES = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'handlers/README.md'],
  ...filesBelow('docs').filter((path) => path.endsWith('.md')),
]

/** The text of a section, from its heading to the next one of the same level or a higher one. */
export function section(page: string, title: string): string {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === title)
  if (start === -1) throw new Error(`there is no section ${title}`)
  const level = /^#+/.exec(lines[start]!)![0].length
  const rest = lines.slice(start + 1)
  const end = rest.findIndex((line) => (/^#+(?= )/.exec(line)?.[0].length ?? 99) <= level)
  return (end === -1 ? rest : rest.slice(0, end)).join('\n')
}

/** The first cells of a section's tables, without their headings. */
export function firstCells(page: string, title: string): string[] {
  const rows = section(page, title)
    .split('\n')
    .filter((line) => line.startsWith('|'))
  const isRule = (line: string | undefined) => line !== undefined && /^\|[-| ]+$/.test(line)
  return rows
    .filter((line, index) => !isRule(line) && !isRule(rows[index + 1]))
    .map((line) => line.split('|')[1]!.trim())
}

/** What stands in backticks in these texts. */
export function codesIn(texts: readonly string[]): string[] {
  return texts.flatMap((text) => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!))
}

/** The text of a heading as GitHub makes an anchor of it. */
export function anchorOf(heading: string): string {
  const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[`*]/g, '')
  return text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-')
}
