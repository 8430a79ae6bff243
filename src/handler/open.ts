import { createWalkThread } from '../answer/walk-thread.ts'
import type { Results } from '../results/results.ts'
import type { Log } from '../telemetry/log.ts'
import type { Scrub } from '../telemetry/scrub.ts'
import { createForward } from './forward.ts'
import type { HandOver } from './hand-over.ts'
import type { Handler } from './handler.ts'
import type { Links } from './links.ts'
import { createModuleHandOver, loadHandler } from './module.ts'

/** The way that the settings name, or the user's function itself. */
export type HandlerChoice =
  | { readonly kind: 'function'; readonly handle: Handler }
  | { readonly kind: 'module'; readonly path: string }
  | { readonly kind: 'forward'; readonly url: string; readonly secrets: readonly string[] }

export type PrepareDeps = {
  /** Maximum time of one call, and of loading a module, ms. */
  readonly timeout: number
  readonly log: Log
  readonly scrub: Scrub
  /** Aborts a start that is still running. */
  readonly signal?: AbortSignal
  /** For `forward`, if calls go through a proxy. */
  readonly fetch?: typeof globalThis.fetch
}

type OpenDeps = {
  readonly results: Results
  /** For `forward`. */
  readonly links: Links | null
  readonly now: () => number
}

/** The user's code, loaded; `open` connects it with the saved results. */
export type PreparedHandOver = {
  open(deps: OpenDeps): { readonly handOver: HandOver; close(): Promise<void> }
}

/**
 * Loads the user's code before anything else is opened: an error in it is a wrong setting.
 * @throws HandlerUnusable, or the reason of `signal`
 */
export async function prepareHandOver(choice: HandlerChoice, deps: PrepareDeps): Promise<PreparedHandOver> {
  if (choice.kind === 'forward')
    return {
      open: ({ links, ...rest }) => ({
        handOver: createForward({ ...deps, ...rest, ...choice, links: links! }),
        close: async () => {},
      }),
    }
  const handler = choice.kind === 'function' ? choice.handle : await loadHandler(choice.path, deps)
  const { timeout, log, scrub } = deps
  return {
    open({ results }) {
      const walk = createWalkThread()
      return { handOver: createModuleHandOver(handler, { results, walk, timeout, log, scrub }), close: walk.close }
    },
  }
}
