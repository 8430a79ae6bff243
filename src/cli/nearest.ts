import { distance } from '../settings/near-misses.ts'

/** Letters that a slip changes at most, and of short words. */
const MAX_SLIP = 2
const MAX_SLIP_SHORT = 1
const MAX_SHORT_LENGTH = 4

/** The one of `names` that was probably meant; null when none is near. The start of one alone is near, too. */
export function nearest(given: string, names: readonly string[]): string | null {
  const word = given.toLowerCase()
  const most = word.length <= MAX_SHORT_LENGTH ? MAX_SLIP_SHORT : MAX_SLIP
  const near = names.map((name) => ({ name, slip: distance(word, name, most) })).filter(({ slip }) => slip <= most)
  const [best] = near.toSorted((a, b) => a.slip - b.slip)
  if (best) return best.name
  const started = word.length >= 3 ? names.filter((name) => name.startsWith(word)) : []
  return started.length === 1 ? started[0]! : null
}
