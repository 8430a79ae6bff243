import type { Check } from './context.ts'
import { findingOf, type Item, ok, warning } from './finding.ts'
import { pathOf } from './path.ts'

/** The form of the secrets is the settings' own; here is whether they belong together. */
export const secrets: Check = {
  name: 'secrets',
  group: 'here',
  async run({ settings }) {
    const endpoints = settings.get('endpoints')
    const owners = new Map<string, string[]>()
    for (const [name, own] of endpoints) for (const one of own) owners.set(one, [...(owners.get(one) ?? []), name])
    const shared = [...owners.values()].filter((names) => new Set(names).size > 1)
    const items: Item[] = [...endpoints].map(([name, { length }]) => ok(`${pathOf(name)} has ${secretsOf(length)}`))
    for (const names of shared)
      items.push(
        warning(
          `${names.map(pathOf).join(' and ')} have the same secret`,
          'each endpoint of Svix has a secret of its own: copy each from its own page in the Svix dashboard',
        ),
      )
    return findingOf(items)
  },
}

function secretsOf(count: number): string {
  return count === 1 ? 'a signing secret' : `${count} signing secrets, as during a rotation`
}
