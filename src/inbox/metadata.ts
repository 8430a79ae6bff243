import { parseLossless, stringifyLossless } from '../lossless-json.ts'

/** Members of metadata, each as text: a string as it is, anything else as its JSON, numbers with their digits. */
type WantedMetadata = Readonly<Record<string, string>>

/**
 * Whether the metadata in the body of a delivery has all these members; for every store. What is no JSON has none. Bodies
 * that concern a job are nested as deep as `receive` allows, and no deeper.
 */
export function hasMetadata(body: string, wanted: WantedMetadata): boolean {
  const metadata = objectOf(metadataValueIn(body))
  if (metadata === null) return false
  return Object.entries(wanted).every(
    ([name, text]) => Object.hasOwn(metadata, name) && textOf(metadata[name]) === text,
  )
}

/** The metadata of a delivery's body, whatever it is; undefined when there is none. Never throws. */
export function metadataValueIn(body: string): unknown {
  const payload = parsed(body)
  // Where `receive` finds it: in the body that has a `job_id`, or in its `data`.
  const update = payload && (Object.hasOwn(payload, 'job_id') ? payload : objectOf(payload.data))
  return update?.metadata
}

function parsed(body: string): Readonly<Record<string, unknown>> | null {
  // JSON.parse refuses a byte order mark.
  const text = body.charCodeAt(0) === 0xfeff ? body.slice(1) : body
  try {
    return objectOf(parseLossless(text))
  } catch {
    return null
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | null {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Readonly<Record<string, unknown>>) : null
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : stringifyLossless(value)
}
