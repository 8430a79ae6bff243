import { causesOf } from './causes.ts'

/** More texts, or longer ones, help nobody who reads a reason. */
const MAX_TEXTS = 4
const MAX_TEXT = 200

/**
 * What went wrong at the bottom of an error, in one bounded line: the texts of its innermost causes, each once. An
 * AggregateError (a host that refused on each of its addresses) tells what is in it. Ends whatever the error is.
 */
export function explainError(error: unknown): string {
  const all = causesOf(error)
  const innermost = all.filter((one) => causesOf(one).length === 1)
  // Errors that cause each other have no innermost one.
  const texts = (innermost.length > 0 ? innermost : all).map(textOf)
  return [...new Set(texts)].slice(0, MAX_TEXTS).join(', ')
}

/** A message and, where the message does not have it, the code. */
function textOf(error: unknown): string {
  try {
    if (typeof error !== 'object' || error === null) return String(error).slice(0, MAX_TEXT)
    const { message, code, name } = error as { message?: unknown; code?: unknown; name?: unknown }
    const [text, short] = [message, code].map((one) => (typeof one === 'string' ? one.slice(0, MAX_TEXT) : ''))
    if (!text) return short || (typeof name === 'string' && name.slice(0, MAX_TEXT)) || 'an unknown error'
    return short && !text.includes(short) ? `${text} (${short})` : text
  } catch {
    return 'an error that cannot be read'
  }
}
