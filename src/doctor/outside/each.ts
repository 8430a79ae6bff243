import type { DoctorContext } from '../context.ts'
import { outsideOf } from '../context.ts'
import { type Item, Skip, skipped } from '../finding.ts'

/** Endpoints that are looked at side by side: each may send 1 MiB. */
const MAX_PARALLEL = 4

/** Looks at every endpoint of the settings. One that must be skipped does not keep the others from being looked at. */
export async function eachEndpoint(
  context: DoctorContext,
  look: (endpoint: string) => Promise<Item>,
): Promise<readonly Item[]> {
  outsideOf(context)
  const waiting = [...context.settings.get('endpoints').keys()]
  const items: Item[] = []
  async function next(): Promise<void> {
    for (let endpoint = waiting.shift(); endpoint !== undefined; endpoint = waiting.shift())
      items.push(await look(endpoint).catch(skippedOr))
  }
  await Promise.all(Array.from({ length: MAX_PARALLEL }, next))
  return items
}

function skippedOr(error: unknown): Item {
  if (error instanceof Skip) return skipped(error.message, error.cure)
  throw error
}
