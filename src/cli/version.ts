import { readFileSync } from 'node:fs'
import type { Run } from './command.ts'
import { print, printJson } from './output.ts'
import type { version } from './spec/service.ts'

/** `version`. */
export const runVersion: Run<typeof version> = async ({ values }) => {
  const number = ownVersion()
  return values.json ? printJson({ version: number, node: process.versions.node }) : print(`${number}\n`)
}

/** The version of this package. */
export function ownVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
