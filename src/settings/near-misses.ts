import { distance } from '../nearest.ts'

/** Names in an environment that resemble a setting: a typing error would silently leave the default in place. */

/** Maximum number of changed letters. */
const MAX_SLIP = 2
/** In shorter names (HANDLER, NO_PROXY) only one letter: two changes reach ordinary words. */
const MIN_LENGTH_FOR_TWO = 9
/**
 * In names up to this length (HOST, PORT) only swapped, doubled or missing letters: HOSTS and PORT0 are ordinary names.
 */
const MAX_SHORT_LENGTH = 4

/** Names of other programs that resemble ours. */
const ORDINARY: ReadonlySet<string> = new Set([
  ...['API', 'APP', 'APT', 'AWS', 'FTP', 'MAIL', 'SOCKS', 'SQL', 'SSL', 'URL'].map((kind) => `${kind}_PROXY`),
  '_HANDLER',
])

/** The setting that `name` was probably intended to be; null when it is a setting itself or resembles none. */
export function nearMiss(name: string, ours: readonly string[]): string | null {
  if (ours.includes(name) || ORDINARY.has(name.toUpperCase())) return null
  const near = ours.map((own) => ({ own, slip: slipOf(name, own) })).filter(({ slip }) => slip !== null)
  return near.toSorted((one, other) => one.slip! - other.slip!)[0]?.own ?? null
}

/** The number of typing errors in a name, or null when it is a different name. */
function slipOf(name: string, own: string): number | null {
  if (own.length <= MAX_SHORT_LENGTH) return swapped(name, own) || doubled(name, own) || shortened(name, own) ? 1 : null
  // In lower case, or without separators, it is the same name to people.
  const upper = name.toUpperCase()
  if (own.length >= MIN_LENGTH_FOR_TWO && joined(upper) === joined(own)) return 0
  const most = own.length >= MIN_LENGTH_FOR_TWO ? MAX_SLIP : 1
  const letters = distance(upper, own, most)
  return letters <= most ? letters : null
}

function joined(name: string): string {
  return name.replaceAll(/[_.-]/g, '')
}

function swapped(name: string, own: string): boolean {
  if (name.length !== own.length || name === own) return false
  const at = [...name].findIndex((letter, index) => letter !== own[index])
  return name === own.slice(0, at) + own.charAt(at + 1) + own.charAt(at) + own.slice(at + 2)
}

function doubled(name: string, own: string): boolean {
  return [...own].some((letter, at) => name === own.slice(0, at) + letter + own.slice(at))
}

function shortened(name: string, own: string): boolean {
  return [...own].some((_, at) => name === own.slice(0, at) + own.slice(at + 1))
}

/**
 * Variables that Kubernetes sets for every Service of a namespace (and Docker for a link): NAME_SERVICE_HOST,
 * NAME_PORT=tcp://…, NAME_PORT_80_TCP_ADDR and others. Recognised by name and value, so that nothing else matches.
 */
export function isInjected(name: string, value: string): boolean {
  if (isServiceUrl(value)) return /_PORT(?:_\d+_(?:TCP|UDP|SCTP))?$/.test(name)
  if (/_SERVICE_HOST$|_PORT_\d+_(?:TCP|UDP|SCTP)_ADDR$/.test(name)) return /^[\da-f.:]+$|^None$/i.test(value)
  if (/_SERVICE_PORT(?:_[A-Z0-9_]+)?$|_PORT_\d+_(?:TCP|UDP|SCTP)_PORT$/.test(name)) return /^\d+$/.test(value)
  return /_PORT_\d+_(?:TCP|UDP|SCTP)_PROTO$/.test(name) && /^(?:tcp|udp|sctp)$/.test(value)
}

/** `tcp://10.0.0.1:80`: no setting has such a value. */
export function isServiceUrl(value: string): boolean {
  return /^(?:tcp|udp|sctp):\/\/\S+:\d+$/.test(value)
}
