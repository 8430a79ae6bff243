import type { Given } from './given.ts'
import { isInjected, nearMiss } from './near-misses.ts'
import { ENDPOINT_SECRET, endpointSecrets } from './settings.ts'

const NAME = new RegExp(`^${ENDPOINT_SECRET}(?:_([A-Z0-9]+))?$`)
/** `/webhook/direct` is a different route, and SVIX_WEBHOOK_SECRET_FILE names a file. */
const RESERVED: ReadonlySet<string> = new Set(['FILE', 'DEFAULT', 'DIRECT'])

/** The endpoint of a setting: `default`, or its name in lower case; null if the setting is not for an endpoint. */
function endpointOf(setting: string): string | null {
  const match = NAME.exec(setting)
  if (!match || RESERVED.has(match[1] ?? '')) return null
  return match[1]?.toLowerCase() ?? 'default'
}

/** The signing secrets of each configured endpoint. */
export function endpointsOf(given: Given, problems: string[]): ReadonlyMap<string, readonly string[]> {
  const endpoints = new Map<string, readonly string[]>()
  const meant = Object.entries(given).filter(
    ([name, value]) => name.startsWith(ENDPOINT_SECRET) && !isInjected(name, value),
  )
  for (const [name, value] of meant) {
    const endpoint = endpointOf(name)
    if (endpoint === null || value === '') continue
    try {
      endpoints.set(endpoint, endpointSecrets.parse(value) ?? [])
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message}`)
    }
  }
  if (meant.length === 0)
    problems.push(
      `${ENDPOINT_SECRET}: is required; copy the signing secret (whsec_…) of your endpoint from the Svix dashboard`,
    )
  return endpoints
}

/** Names that resemble the prefix of endpoint secrets, or have an invalid ending. Messages by name. */
export function endpointSlips(given: Given): Map<string, string> {
  const messages = new Map<string, string>()
  for (const [name, value] of Object.entries(given)) {
    if (isInjected(name, value)) continue
    if (name.startsWith(ENDPOINT_SECRET)) {
      if (endpointOf(name) === null)
        messages.set(
          name,
          `${name}: is not a setting; ${ENDPOINT_SECRET}_<NAME> needs a NAME of A-Z and 0-9 other than FILE, DEFAULT and DIRECT`,
        )
    } else if (beginnings(name).some((beginning) => nearMiss(beginning, [ENDPOINT_SECRET]) !== null))
      messages.set(name, `${name}: is not a setting; did you mean ${ENDPOINT_SECRET} or ${ENDPOINT_SECRET}_<NAME>?`)
  }
  return messages
}

/** `A_B_C` → `A_B_C`, `A_B`, `A`. */
function beginnings(name: string): string[] {
  const parts = name.split('_')
  return parts.map((_, index) => parts.slice(0, index + 1).join('_'))
}
