import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished } from 'vitest'
import { openDoctor } from '../../src/cli/doctor/context.ts'
import { type Checked, type Report, runDoctor } from '../../src/doctor/doctor.ts'
import { newSecret } from '../../src/signing.ts'
import { type Reducto, startReducto } from '../../src/simulator/reducto.ts'
import { freePort } from '../support/port.ts'
import { isReady, type RealProcess, spawnReceiver } from '../support/process.ts'
import { testEnv } from '../support/service.ts'

export type Diagnosed = Report & { readonly code: number | null; of(name: string): Checked }

export type Running = {
  readonly service: RealProcess
  readonly reducto: Reducto
  readonly env: Record<string, string>
  readonly url: string
  /** Runs `doctor` beside the service, with these settings more; with options, as a process. */
  doctor(more?: Record<string, string>, ...args: string[]): Promise<Diagnosed>
  /** The same, which waits 3 s for the public URL rather than 15. */
  hastyDoctor(more: Record<string, string>): Promise<Diagnosed>
}

type OnFinished = (end: () => Promise<void>) => void

/** A service as a process, with two endpoints, and stopped with the test, or when `onFinished` says so. */
export async function startService(
  more: Record<string, string> = {},
  onFinished: OnFinished = onTestFinished,
): Promise<Running> {
  const reducto = await startReducto()
  onFinished(() => reducto.stop())
  const port = String(await freePort())
  const secrets = { SVIX_WEBHOOK_SECRET: newSecret(), SVIX_WEBHOOK_SECRET_DEV: newSecret() }
  const env = {
    ...testEnv(folderUntil(onFinished), reducto, secrets.SVIX_WEBHOOK_SECRET),
    ...secrets,
    PORT: port,
    ...more,
  }
  const service = spawnReceiver(['serve'], env, undefined, undefined, undefined, onFinished)
  await service.line(isReady)
  const doctor: Running['doctor'] = (changed = {}, ...args) =>
    needsProcess(changed, args) ? diagnose({ ...env, ...changed }, ...args) : diagnoseHere({ ...env, ...changed })
  const hastyDoctor: Running['hastyDoctor'] = (changed) =>
    diagnoseHere({ ...env, ...changed }, { timeout: SHORT_TIMEOUT_MS })
  return { service, reducto, env, url: `http://127.0.0.1:${port}`, doctor, hastyDoctor }
}

function folderUntil(onFinished: OnFinished): string {
  const folder = mkdtempSync(join(tmpdir(), 'receiver-doctor-'))
  onFinished(async () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/** A service that the tests of a file share, since doctor leaves nothing behind. */
export function sharedService(more: Record<string, string> = {}): () => Promise<Running> {
  const ends: (() => Promise<void>)[] = []
  let started: Promise<Running> | null = null
  afterAll(async () => {
    for (const end of ends.reverse()) await end()
  })
  return () => {
    started ??= startService(more, (end) => void ends.push(end))
    return started
  }
}

/** Options are the command's, and trusted certificates are read when a process starts. */
function needsProcess(changed: Readonly<Record<string, string>>, args: readonly string[]): boolean {
  return args.length > 0 || 'NODE_EXTRA_CA_CERTS' in changed
}

/** How long answers are waited for in this process, ms: the causes are the same as after 15 s. */
const SHORT_TIMEOUT_MS = 3_000

/** The same in this process, which starts none; with the exit code that the command would have. */
async function diagnoseHere(env: Record<string, string>, options: { timeout?: number } = {}): Promise<Diagnosed> {
  const opened = await openDoctor({ url: null, sample: true, env, ...options })
  try {
    const report = await runDoctor(opened.context)
    const code = opened.context.settings.problems.length > 0 ? 78 : Number(report.worst === 'problem')
    return { ...report, code, of: (name) => report.checks.find((check) => check.name === name)! }
  } finally {
    await opened.close()
  }
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
