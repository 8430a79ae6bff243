import type { z } from 'zod'
import { parseLossless } from '../../lossless-json.ts'
import { nearest } from '../../nearest.ts'
import type { Issue } from './errors.ts'

/** Reads what was sent. Anything that is not known is an error: a filter that is misspelt would match all. */

type Read<T> =
  | { readonly is: 'read'; readonly value: T }
  | { readonly is: 'invalid'; readonly issues: readonly Issue[] }

/** More are a mistake, or an attack. */
const MAX_ISSUES = 20
/** Text of a caller in an answer. Characters. */
const MAX_SHOWN_CHARS = 64
const METADATA = 'metadata.'

/** The query of a URL: each name once, `metadata.KEY=VALUE` as members of `metadata`. */
export function readQuery<Schema extends z.ZodObject>(schema: Schema, url: string): Read<z.output<Schema>> {
  const at = url.indexOf('?')
  const members = new Map<string, unknown>()
  const metadata = new Map<string, string>()
  const issues: Issue[] = []
  for (const [name, value] of new URLSearchParams(at < 0 ? '' : url.slice(at + 1))) {
    const isMetadata = 'metadata' in schema.shape && name.startsWith(METADATA)
    const [into, own] = isMetadata ? [metadata, name.slice(METADATA.length)] : [members, name]
    if (into.has(own))
      issues.push({ path: shown(name), message: 'is given more than once: all that are given must match' })
    into.set(own, value)
  }
  if ('metadata' in schema.shape && members.delete('metadata'))
    issues.push({ path: 'metadata', message: 'is given as metadata.KEY=VALUE' })
  if (metadata.size > 0) members.set('metadata', Object.fromEntries(metadata))
  return readMembers(schema, Object.fromEntries(members), issues)
}

/** A body: a JSON object, or nothing, which is an empty one. Without a schema nothing may be sent. */
export function readBody<Schema extends z.ZodObject>(schema: Schema | null, body: Buffer): Read<z.output<Schema>> {
  const empty = body.length === 0
  if (schema === null) {
    if (empty) return { is: 'read', value: {} as z.output<Schema> }
    return { is: 'invalid', issues: [{ path: '', message: 'this route takes no body' }] }
  }
  let given: unknown
  try {
    // Metadata keeps the digits of its numbers.
    const parse = 'metadata' in schema.shape ? parseLossless : JSON.parse
    given = empty ? {} : parse(body.toString())
  } catch {
    return { is: 'invalid', issues: [{ path: '', message: 'the body is not JSON' }] }
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    return { is: 'invalid', issues: [{ path: '', message: 'the body is not a JSON object' }] }
  return readMembers(schema, given, [])
}

function readMembers<Schema extends z.ZodObject>(
  schema: Schema,
  given: object,
  found: readonly Issue[],
): Read<z.output<Schema>> {
  const names = Object.keys(schema.shape)
  const unknown = Object.keys(given)
    .filter((name) => !Object.hasOwn(schema.shape, name))
    .map((name) => ({ path: shown(name), message: `is not known${meant(name, names)}` }))
  const parsed = schema.safeParse(given)
  const wrong = parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => ({ path: shown(path.join('.')), message }))
  const issues = [...found, ...unknown, ...wrong].slice(0, MAX_ISSUES)
  return parsed.success && issues.length === 0 ? { is: 'read', value: parsed.data } : { is: 'invalid', issues }
}

function meant(name: string, names: readonly string[]): string {
  const near = nearest(name.slice(0, MAX_SHOWN_CHARS), names)
  return near === null ? `; these are: ${names.join(', ') || 'none'}` : `; did you mean ${near}?`
}

function shown(name: string): string {
  return name.length > MAX_SHOWN_CHARS ? `${name.slice(0, MAX_SHOWN_CHARS)}…` : name
}
