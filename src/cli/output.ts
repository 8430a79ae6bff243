import { stringifyLossless } from '../lossless-json.ts'
import { toJson } from '../operations/present.ts'

/** Prints text; returns exit code 0. */
export function print(text: string): 0 {
  process.stdout.write(text)
  return 0
}

/** Prints one line for people on standard error. */
export function printError(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Prints plain data as one line of JSON: names with underscores, times in ISO 8601, numbers with their digits. */
export function printJson(value: unknown): 0 {
  return print(`${stringifyLossless(toJson(value))}\n`)
}

/** `1 job`, `2 jobs`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
