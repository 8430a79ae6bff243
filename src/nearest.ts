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

/** Letters to add, leave out, replace or swap (Damerau and Levenshtein); more than `most` is only known to be more. */
export function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = last
    last = row
  }
  return last[b.length]!
}
