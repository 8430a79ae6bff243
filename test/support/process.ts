import { type ChildProcess, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

const BIN = resolve(import.meta.dirname, '../../src/bin.js')

export type Line = Readonly<Record<string, unknown>> & { readonly msg?: string }

export type RealProcess = {
  readonly child: ChildProcess
  /** Lines of its log, so far. */
  readonly lines: readonly Line[]
  /** Everything it printed. */
  output(): string
  /** The first line of the log that matches, now or later; rejects when the process ends before. */
  line(matches: (line: Line) => boolean): Promise<Line>
  /** Sends a signal and resolves to its exit code, or null when a signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>
  readonly exited: Promise<number | null>
}

/** The real program, as a user starts it, with nothing of this process's environment. */
export function spawnReceiver(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
  bin = BIN,
  uid?: number,
  onFinished: (end: () => Promise<void>) => void = onTestFinished,
): RealProcess {
  const child = spawn(process.execPath, [bin, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd ? { cwd } : {}),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  const lines: Line[] = []
  const watchers = new Set<() => void>()
  let output = ''
  const exited = new Promise<number | null>((done) => child.once('close', (code) => done(code)))
  void exited.then(() => tell())
  onFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })

  const tell = () => {
    for (const watch of watchers) watch()
  }
  for (const stream of [child.stdout!, child.stderr!])
    createInterface({ input: stream }).on('line', (text) => {
      output += `${text}\n`
      if (text.startsWith('{')) lines.push(JSON.parse(text))
      tell()
    })

  return {
    child,
    lines,
    output: () => output,
    exited,
    line(matches) {
      return new Promise((found, missed) => {
        const look = () => {
          const line = lines.find(matches)
          if (line) found(line)
          else if (child.exitCode !== null || child.signalCode !== null)
            missed(new Error(`the process ended:\n${output}`))
          else return
          watchers.delete(look)
        }
        watchers.add(look)
        look()
      })
    },
    end(signal) {
      child.kill(signal)
      return exited
    },
  }
}

export const isReady = (line: Line) => line.msg === 'ready'
