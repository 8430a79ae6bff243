/** The shape of the bodies that Svix delivers, used on arrival and later for the metadata. */

/** A body with deeper nesting is not a Reducto job update, and later readers need not handle it. */
export const MAX_DEPTH = 64

/** Some senders put a byte order mark before UTF-8, which JSON.parse refuses. */
export function withoutByteOrderMark(body: string): string {
  return body.charCodeAt(0) === 0xfeff ? body.slice(1) : body
}

/**
 * The job update within a parsed body: the body itself if it has a `job_id`, else its `data` if that has one, as many
 * Svix senders wrap their payloads. Null when there is none. Its members are not checked.
 */
export function updateIn(payload: object): Readonly<Record<string, unknown>> | null {
  if (Object.hasOwn(payload, 'job_id')) return payload as Record<string, unknown>
  const data = Object.hasOwn(payload, 'data') ? (payload as { data: unknown }).data : null
  const isWrapped = typeof data === 'object' && data !== null && !Array.isArray(data) && Object.hasOwn(data, 'job_id')
  return isWrapped ? (data as Record<string, unknown>) : null
}

/** Maximum characters of Svix's own test messages. */
const MAX_TEST_CHARS = 1_024

/** Whether a body is a test message of Svix's dashboard: `{"success":true}`, plain or wrapped. */
export function isSvixTest(body: string): boolean {
  if (body.length > MAX_TEST_CHARS) return false
  try {
    const { success, data } = JSON.parse(withoutByteOrderMark(body)) as { success?: unknown; data?: unknown }
    return success === true || (data as { success?: unknown } | null | undefined)?.success === true
  } catch {
    return false
  }
}

/** Whether `text`, as JSON, is nested too deeply. Counts in the text, before any value is built. */
export function isTooDeep(text: string): boolean {
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (inString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) inString = false
    } else if (code === QUOTE) inString = true
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > MAX_DEPTH) return true
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
  }
  return false
}

const [QUOTE, BACKSLASH, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d]
