import { packageVersion } from '../version.ts'
import type { Run } from './command.ts'
import { print, printJson } from './output.ts'
import type { version } from './spec/service.ts'

/** `version`. */
export const runVersion: Run<typeof version> = async ({ values }) => {
  const number = packageVersion()
  return values.json ? printJson({ version: number, node: process.versions.node }) : print(`${number}\n`)
}
