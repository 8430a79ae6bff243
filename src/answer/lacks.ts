import { at, describe, hasShape, isArray, isCitedValue, isContainer, isLink, isObject, type Kept } from './kept.ts'
import type { KindSpec, PartSpec } from './kinds.ts'
import { ERROR_MEMBERS } from './plan.ts'
import { type Path, pointerOf } from './pointer.ts'

/**
 * A sentence that names what a response or result lacks, or null when its part exists. `spec` is null for an unknown
 * kind: then there must be something, and not an error.
 */
export function whatLacks(
  value: Kept | undefined,
  spec: KindSpec | null,
  path: Path,
  expected: 'response' | 'result',
): string | null {
  const part = spec?.part ?? 'result'
  const missing = (what: string) => `Reducto returned no ${part}: ${where(path)} ${what}`
  // Extracted values within an answer can have any names.
  const isValues = spec !== null && 'values' in spec.has
  const isData = isValues && expected === 'result' && path.length > 0
  if (isError(value) && !isData) return missing('is an error')
  if (isBrokenLink(value) && (path.length > 0 || !isValues)) return missing('is a link without a URL')
  if (spec === null) return lacksAnything(value, path, missing)
  if (expected === 'response' && isObject(value)) return missing('has no result')
  if (expected === 'response') return missing(`is ${describe(value)}`)
  if (!isContainer(value)) return missing(`is ${describe(value)}`)
  return hasPart(value, spec, path) ? null : missing(`has no ${namesOf(spec).join(', no ')}`)
}

function lacksAnything(value: Kept | undefined, path: Path, missing: (what: string) => string): string | null {
  if (value === undefined || value === null) return missing(`is ${describe(value)}`)
  if (isObject(value) && value.size === 0) return missing('is empty')
  const result = at(value, 'result')
  if (isBrokenLink(result)) return `Reducto returned no result: ${where([...path, 'result'])} is a link without a URL`
  if (result === null || isError(result))
    return `Reducto returned no result: ${where([...path, 'result'])} is ${result === null ? 'null' : 'an error'}`
  return null
}

function hasPart(value: Kept, { has, bare }: KindSpec, path: Path): boolean {
  // Links may lead to bare arrays.
  if (isArray(value) && bare !== undefined && path.length === 0) return true
  if ('any' in has) return Object.entries(has.any).some(([name, shape]) => hasShape(at(value, name), shape))
  if ('parts' in has) return Object.entries(has.parts).some(([name, part]) => hasItems(at(value, name), part))
  // The link to a document has been checked above.
  return 'values' in has
}

function hasItems(value: Kept | undefined, part: PartSpec): boolean {
  if (value === undefined || value === null) return false
  return !part.list || !isArray(value) || value.size > 0
}

function namesOf({ has, part }: KindSpec): readonly string[] {
  if ('any' in has) return Object.keys(has.any)
  if ('parts' in has) return Object.keys(has.parts)
  return 'document' in has ? [has.document] : [part]
}

function isBrokenLink(value: Kept | undefined): boolean {
  return at(value, 'type') === 'url' && !isLink(value)
}

/**
 * An error instead of the expected value: it has only the members of errors. Fields with citations are the customer's.
 */
function isError(value: Kept | undefined): boolean {
  if (!isObject(value)) return false
  const says = [at(value, 'error'), at(value, 'detail')].some((member) => member !== undefined && !isCitedValue(member))
  return says && ERROR_MEMBERS.filter((name) => value.members.has(name)).length === value.size
}

export function where(path: Path): string {
  return path.length === 0 ? 'the linked document' : pointerOf(path)
}
