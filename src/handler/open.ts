import { createWalkThread } from '../answer/walk-thread.ts'
import type { Log } from '../log.ts'
import type { Results } from '../results/results.ts'
import { createForward } from './forward.ts'
import type { HandOver } from './hand-over.ts'
import type { Links } from './links.ts'
import { loadInTime } from './load-in-time.ts'
import { createModuleHandOver } from './module.ts'
import { createWalkThread } from './walk-thread.ts'

/** The way that the settings name. */
export type HandlerChoice =
  | { readonly kind: 'module'; readonly path: string }
  | { readonly kind: 'forward'; readonly url: string; readonly secrets: readonly string[] }

export type OpenHandOverDeps = {
  readonly results: Results
  /** For `forward`. */
  readonly links: Links | null
  /** One call, and loading the module, ms. */
  readonly timeout: number
  readonly now: () => number
  readonly log: Log
}

/**
 * Opens the way to the user's code.
 * @throws HandlerUnusable
 */
export async function openHandOver(
  choice: HandlerChoice,
  { results, links, timeout, now, log }: OpenHandOverDeps,
): Promise<{ handOver: HandOver; close(): Promise<void> }> {
  if (choice.kind === 'forward') {
    const { url, secrets } = choice
    return { handOver: createForward({ url, secrets, timeout, results, links: links!, now }), close: async () => {} }
  }
  const handler = await loadInTime(choice.path, timeout)
  const walk = createWalkThread()
  return { handOver: createModuleHandOver(handler, { results, walk, timeout, log }), close: walk.close }
}
