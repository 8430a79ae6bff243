import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'

export const ROOT = resolve(import.meta.dirname, '../..')

/** A file of this repository, by its path from the root. */
export function fileText(path: string): string {
  return readFileSync(resolve(ROOT, path), 'utf8')
}

/** The instructions of a Dockerfile, in their order. Comments within a continued line are left out, as builders do. */
export function instructions(dockerfile: string): [name: string, rest: string][] {
  const lines = dockerfile
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n/g, '')
    .split('\n')
  return lines.flatMap((line) => {
    const match = /^([A-Z]+) (.+)$/.exec(line)
    return match ? [[match[1]!, match[2]!]] : []
  })
}

/** What the image sets for its processes. */
export function imageEnvironment(): Record<string, string> {
  const env = instructions(fileText('Dockerfile')).filter(([name]) => name === 'ENV')
  return Object.fromEntries(env.flatMap(([, rest]) => rest.trim().split(/\s+/)).map(splitAssignment))
}

/** `.env.example` with every default that it only mentions written out: what a careful person's .env looks like. */
export function spelledOutEnv(): Record<string, string> {
  const text = fileText('.env.example').replaceAll(/^# ([A-Z][A-Z_]+=)/gm, '$1')
  return Object.fromEntries(Object.entries(parseEnv(text)).map(([name, value]) => [name, value ?? '']))
}

/** The ```LANGUAGE blocks of a page, in their order. */
export function codeBlocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text]) => text!)
}

function splitAssignment(text: string): [string, string] {
  const at = text.indexOf('=')
  return [text.slice(0, at), text.slice(at + 1)]
}
