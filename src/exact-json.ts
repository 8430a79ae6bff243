/**
 * JSON that keeps the digits of its numbers. `JSON.parse` turns 12345678901234567890 into 12345678901234567000 and 1.0
 * into 1; customers put such ids and amounts into their metadata and want them back as they gave them.
 */

/** A number that is written back exactly as it was read. */
type RawNumber = { readonly rawJSON: string }

/** Parses `text` like `JSON.parse`, but numbers that JavaScript would change are kept as they are written. */
export function parseExact(text: string): unknown {
  return JSON.parse(text, (_key, value, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined && String(value) !== context.source
      ? rawNumber(context.source)
      : value,
  )
}

/** A number that is written back as `source`, the text of a JSON number. */
export function exactNumber(source: string): unknown {
  return rawNumber(source)
}

/** `value` as JSON text; numbers from `parseExact` keep their digits. */
export function stringifyExact(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent)
}

// TypeScript's library does not know JSON.rawJSON (ES2026) yet.
const rawNumber = (JSON as unknown as { rawJSON(text: string): RawNumber }).rawJSON
