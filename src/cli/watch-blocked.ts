import { url as debuggerUrl } from 'node:inspector'
import { Worker } from 'node:worker_threads'

/** How often this thread shows that it goes on, ms. */
const BEAT_MS = 250

/** Runs in a thread of its own: it waits for a beat, and once more after a pause, as of a machine that was suspended. */
const WATCH = `
  const { workerData: { beats, ms, message } } = require('node:worker_threads')
  const late = () => Atomics.wait(beats, 0, Atomics.load(beats, 0), ms) === 'timed-out'
  while (Atomics.load(beats, 0) >= 0)
    if (late() && Atomics.wait(beats, 0, Atomics.load(beats, 0), ${4 * BEAT_MS}) === 'timed-out') {
      require('node:fs').writeSync(2, message)
      process.kill(process.pid, 'SIGKILL')
    }
`

/**
 * Kills this process, with a message on standard error, when code blocks its thread for longer than `ms`: then neither
 * timers nor signals are heard, and nothing else could end it. Returns what ends the watch. A debugger may block.
 */
export function watchBlocked(ms: number, message: string): () => void {
  if (debuggerUrl() !== undefined) return () => {}
  const beats = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(WATCH, { eval: true, workerData: { beats, ms, message }, name: 'watch-blocked' })
  worker.unref()
  const timer = setInterval(() => beat(Atomics.load(beats, 0) + 1), BEAT_MS)
  function beat(value: number): void {
    Atomics.store(beats, 0, value)
    Atomics.notify(beats, 0)
  }
  return () => {
    clearInterval(timer)
    beat(-1)
  }
}
