import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

/** The processes that are measured and measured against. Each is a process of its own, as in production. */

export type Running = { readonly url: string; readonly child: ChildProcess; stop(): Promise<void> }

const BIN = resolve(import.meta.dirname, '../src/bin.js')

/** The service as users start it, with its log going nowhere. */
export async function startReceiver(
  env: Readonly<Record<string, string>>,
  preload: readonly string[] = [],
): Promise<Running> {
  const port = env.PORT!
  const imports = preload.flatMap((name) => ['--import', resolve(import.meta.dirname, name)])
  const child = spawn(process.execPath, [...imports, BIN, 'serve'], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const url = `http://127.0.0.1:${port}`
  await ready(url, child)
  return { url, child, stop: () => end(child) }
}

/** A helper of this folder; it sends `{ port }` when it listens. */
export async function startHelper(
  name: string,
  args: readonly string[],
): Promise<Running & { readonly info: Record<string, string> }> {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, name), ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [info] = (await once(child, 'message')) as [Record<string, string>]
  return { url: info.url!, info, child, stop: () => end(child) }
}

/** Asks every two milliseconds, so that the time to ready can be told. */
async function ready(url: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const response = await fetch(`${url}/readyz`).catch(() => null)
    await response?.arrayBuffer()
    if (response?.status === 200) return
    await new Promise((next) => setTimeout(next, 2))
  }
  throw new Error('the service ended')
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}
