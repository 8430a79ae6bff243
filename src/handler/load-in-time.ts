import type { Handler } from './handler.ts'
import { HandlerUnusable, loadHandler } from './module.ts'
import { TimeUp, withinTime } from './time-limit.ts'

/**
 * Loads the handler that the module at `path` exports, within `timeout` ms.
 * @throws HandlerUnusable also for one that never ends to load
 */
export async function loadInTime(path: string, timeout: number): Promise<Handler> {
  try {
    return await withinTime(timeout, new AbortController().signal, () => loadHandler(path))
  } catch (error) {
    if (!(error instanceof TimeUp)) throw error
    throw new HandlerUnusable(
      `${path} was not loaded within ${timeout} ms (HANDLER_TIMEOUT): an await at its top level, or that of a module it imports, does not end. Connect when the handler is called instead`,
    )
  }
}
