import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** The real service as a child process. */

const BIN = resolve(import.meta.dirname, '../../src/bin.js')
/** A process that is not ready by then is broken, ms. */
export const PATIENCE = 60_000

export function start(env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [BIN, 'serve'], { env, stdio: ['ignore', 'inherit', 'inherit'] })
}

/** True when it is ready; false when it has ended before, and may. */
export async function ready(
  env: Record<string, string>,
  child: ChildProcess,
  { mayEnd = false } = {},
): Promise<boolean> {
  const deadline = Date.now() + PATIENCE
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const response = await fetch(`http://127.0.0.1:${env.PORT}/readyz`).catch(() => null)
    await response?.arrayBuffer().catch(() => {})
    if (response?.status === 200) return true
    await delay(5)
  }
  if (mayEnd && Date.now() < deadline) return false
  throw new Error('the service does not become ready')
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}
