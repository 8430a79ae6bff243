import { createWalkThread } from '../answer/walk-thread.ts'
import type { Log } from '../log.ts'
import type { Results } from '../results/results.ts'
import type { Scrub } from '../scrub.ts'
import { createForward } from './forward.ts'
import type { HandOver } from './hand-over.ts'
import type { Links } from './links.ts'
import { createModuleHandOver, loadHandler } from './module.ts'

/** The way that the settings name. */
export type HandlerChoice =
  | { readonly kind: 'module'; readonly path: string }
  | { readonly kind: 'forward'; readonly url: string; readonly secrets: readonly string[] }

export type OpenHandOverDeps = {
  readonly results: Results
  /** For `forward`. */
  readonly links: Links | null
  /** One call, and loading a module, ms. */
  readonly timeout: number
  readonly now: () => number
  readonly log: Log
  readonly scrub: Scrub
  /** Ends a start that is still under way. */
  readonly signal?: AbortSignal
  /** For `forward`, where calls go through a proxy. */
  readonly fetch?: typeof globalThis.fetch
}

/**
 * Opens the way to the user's code.
 * @throws HandlerUnusable, or the reason of `signal`
 */
export async function openHandOver(
  choice: HandlerChoice,
  deps: OpenHandOverDeps,
): Promise<{ handOver: HandOver; close(): Promise<void> }> {
  if (choice.kind === 'forward') {
    const { links, ...rest } = deps
    return { handOver: createForward({ ...rest, ...choice, links: links! }), close: async () => {} }
  }
  const handler = await loadHandler(choice.path, deps)
  const { results, timeout, log, scrub } = deps
  const walk = createWalkThread()
  return { handOver: createModuleHandOver(handler, { results, walk, timeout, log, scrub }), close: walk.close }
}
