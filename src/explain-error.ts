import { causesOf } from './causes.ts'

/** Maximum number and length of texts; more would help no reader. */
const MAX_TEXTS = 4
const MAX_TEXT_CHARS = 200

/**
 * The root causes of an error in one bounded line: the texts of its innermost causes, each once. For an AggregateError
 * (a host that refused on each of its addresses) these are its errors. Terminates for any error.
 */
export function explainError(error: unknown): string {
  const all = causesOf(error)
  const innermost = all.filter((one) => causesOf(one).length === 1)
  // Errors that cause each other have no innermost one.
  const texts = (innermost.length > 0 ? innermost : all).map(textOf)
  return [...new Set(texts)].slice(0, MAX_TEXTS).join(', ')
}

/** A message and, unless it contains it, the code. */
function textOf(error: unknown): string {
  try {
    if (typeof error !== 'object' || error === null) return String(error).slice(0, MAX_TEXT_CHARS)
    const { message, code, name } = error as { message?: unknown; code?: unknown; name?: unknown }
    const [text, short] = [message, code].map((one) => (typeof one === 'string' ? one.slice(0, MAX_TEXT_CHARS) : ''))
    if (!text) return short || (typeof name === 'string' && name.slice(0, MAX_TEXT_CHARS)) || 'an unknown error'
    return short && !text.includes(short) ? `${text} (${short})` : text
  } catch {
    return 'an error that cannot be read'
  }
}
