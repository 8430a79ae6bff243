import { parseLossless, stringifyLossless } from '../lossless-json.ts'

/**
 * Whether a body that concerns no job has these members together, wherever they stand: what was not understood may have
 * them in any place. In a text that is no JSON, or was cut off, it is enough that all values occur.
 */
export function hasMembers(body: string, wanted: Readonly<Record<string, string>>): boolean {
  let parsed: unknown
  try {
    parsed = parseLossless(body.charCodeAt(0) === 0xfeff ? body.slice(1) : body)
  } catch {
    return Object.values(wanted).every((text) => spellings(text).some((spelling) => body.includes(spelling)))
  }
  return isWithin(parsed, Object.entries(wanted))
}

/** Without recursion: the body is anybody's who has a secret. */
function isWithin(root: unknown, wanted: readonly (readonly [name: string, text: string])[]): boolean {
  const open: unknown[] = [root]
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) continue
    const members = value as Readonly<Record<string, unknown>>
    if (wanted.every(([name, text]) => Object.hasOwn(members, name) && textOf(members[name]) === text)) return true
    for (const member of Object.values(members)) if (member !== undefined) open.push(member)
  }
  return false
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : stringifyLossless(value)
}

/** As senders may write a text: as it is, and with other letters than those of ASCII as \u00fc. */
function spellings(text: string): readonly string[] {
  const escaped = JSON.stringify(text).slice(1, -1)
  const ascii = escaped.replace(
    /[\u0080-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return [text, escaped, ascii]
}
