import { expect } from 'vitest'
import type { Checked, Report } from '../../src/doctor/doctor.ts'
import { newSecret } from '../../src/signing.ts'
import type { Reducto } from '../../src/simulator/reducto.ts'
import { freePort } from '../support/port.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

export type Diagnosed = Report & { readonly code: number | null; of(name: string): Checked }

export type Running = {
  readonly service: RealProcess
  readonly reducto: Reducto
  readonly env: Record<string, string>
  readonly url: string
  /** Runs `doctor --json` beside the service, with these settings more. */
  doctor(more?: Record<string, string>, ...args: string[]): Promise<Diagnosed>
}

/** A service as a process, with two endpoints, and stopped with the test. */
export async function startService(more: Record<string, string> = {}): Promise<Running> {
  const reducto = await testReducto()
  const port = String(await freePort())
  const secrets = { SVIX_WEBHOOK_SECRET: newSecret(), SVIX_WEBHOOK_SECRET_DEV: newSecret() }
  const env = { ...testEnv(tempFolder(), reducto, secrets.SVIX_WEBHOOK_SECRET), ...secrets, PORT: port, ...more }
  const service = spawnReceiver(['serve'], env)
  await service.line(isReady)
  const doctor: Running['doctor'] = (changed = {}, ...args) => diagnose({ ...env, ...changed }, ...args)
  return { service, reducto, env, url: `http://127.0.0.1:${port}`, doctor }
}

/** `doctor --json` as a process. */
export async function diagnose(env: Record<string, string>, ...args: string[]): Promise<Diagnosed> {
  const command = spawnReceiver(['doctor', '--json', ...args], env)
  const code = await command.exited
  const line = command
    .output()
    .split('\n')
    .find((one) => one.startsWith('{'))
  if (line === undefined) throw new Error(`doctor printed:\n${command.output()}`)
  const report = JSON.parse(line) as Report
  return { ...report, code, of: (name) => report.checks.find((check) => check.name === name)! }
}

/** Names and words of all that was found to be a problem. */
export function problemsOf({ checks }: Report): string[] {
  const items = checks.flatMap(({ name, items }) => items.map((item) => ({ name, ...item })))
  return items.filter(({ status }) => status === 'problem').map(({ name, found }) => `${name}: ${found}`)
}

/** Exactly these checks found a problem, and in such words. */
export function expectCause(report: Diagnosed, causes: Readonly<Record<string, RegExp>>): void {
  const problems = problemsOf(report)
  for (const [name, words] of Object.entries(causes))
    expect(problems).toContainEqual(expect.stringMatching(new RegExp(`^${name}: .*${words.source}`, 's')))
  const others = problems.filter((one) => !Object.keys(causes).some((name) => one.startsWith(`${name}:`)))
  expect(others).toEqual([])
  expect(report.code).toBe(1)
  for (const name of Object.keys(causes))
    for (const item of report.of(name).items)
      if (item.status === 'problem') expect([item.found, item.cure]).toEqual([item.found, expect.any(String)])
}

/** Nothing is wrong, apart from what a machine without a public address lacks. */
export function expectHealthy(report: Diagnosed): void {
  expect(problemsOf(report)).toEqual([])
  const warned = report.checks.filter(({ status }) => status === 'warning').map(({ name }) => name)
  expect(warned.filter((name) => !['dns', 'certificate'].includes(name))).toEqual([])
  for (const name of ['answer', 'signature', 'delivery', 'large body'])
    expect(report.of(name).items.map(({ status }) => status)).toEqual(['ok', 'ok'])
  expect(report.code).toBe(0)
}
