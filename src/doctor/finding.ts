/** `skipped`: it could not be looked at, for a reason that is another check's. */
export type Status = 'ok' | 'warning' | 'problem' | 'skipped'

/** One thing that was looked at. `cure`: what to do; null where there is nothing to do. */
export type Item = { readonly status: Status; readonly found: string; readonly cure: string | null }

/** What a check found: as bad as the worst of its items, in whose words it is told. */
export type Finding = Item & { readonly items: readonly Item[] }

export const ok = (found: string): Item => ({ status: 'ok', found, cure: null })
export const warning = (found: string, cure: string | null): Item => ({ status: 'warning', found, cure })
export const problem = (found: string, cure: string | null): Item => ({ status: 'problem', found, cure })
export const skipped = (found: string, cure: string | null = null): Item => ({ status: 'skipped', found, cure })

/** From worst to best. */
const ORDER: readonly Status[] = ['problem', 'warning', 'ok', 'skipped']

/** Of many endpoints or causes the worst are told; the rest is counted. */
const MAX_ITEMS = 20

/** The items in the order in which they should be read; what several endpoints have in common is said once. */
export function findingOf(items: readonly Item[]): Finding {
  const once = new Map(items.map((item) => [`${item.status} ${item.found} ${item.cure}`, item]))
  const sorted = [...once.values()].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status))
  const [worst = skipped('there is nothing to look at')] = sorted
  const left = sorted.length - MAX_ITEMS
  const rest = left > 0 ? [skipped(`${left} more`)] : []
  return { ...worst, items: [...(sorted.length === 0 ? [worst] : sorted.slice(0, MAX_ITEMS)), ...rest] }
}

/** A check cannot be made, because of what another check tells or because nothing asks for it. */
export class Skip extends Error {
  override readonly name = 'Skip'
  readonly cure: string | null
  constructor(message: string, cure: string | null = null) {
    super(message)
    this.cure = cure
  }
}
