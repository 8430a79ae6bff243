import { collectDefaultMetrics, Registry } from 'prom-client'

let registry: Registry | null = null

/** Begins to observe the process. */
export function watchProcess(): void {
  if (registry !== null) return
  registry = new Registry()
  collectDefaultMetrics({ register: registry })
}

/**
 * CPU, memory, event loop and garbage collection of this process: one registry for all receivers in it, made once, because
 * what observes them stays until the process ends. It is not prom-client's own, which belongs to the app.
 */
export async function processText(): Promise<string> {
  watchProcess()
  const text = await registry!.metrics()
  // prom-client 15 writes `Nan`, which not every reader takes; the event loop has such values just after a look.
  return text.replaceAll(/ Nan$/gm, ' NaN')
}
