import type { Shape } from './kinds.ts'

/** What a scan keeps of a document: a reduced copy with only the members that the table of kinds asks for. */
export type Kept = string | number | boolean | null | KeptContainer

export type KeptContainer = {
  readonly isArray: boolean
  readonly members: Map<string | number, Kept>
  /** Number of members or items in the document, kept or not. */
  size: number
}

/** The value at `names`, or undefined. */
export function at(value: Kept | undefined, ...names: readonly (string | number)[]): Kept | undefined {
  let found = value
  for (const name of names) found = isContainer(found) ? found.members.get(name) : undefined
  return found
}

export function isContainer(value: Kept | undefined): value is KeptContainer {
  return typeof value === 'object' && value !== null
}

export function isObject(value: Kept | undefined): value is KeptContainer {
  return isContainer(value) && !value.isArray
}

export function isArray(value: Kept | undefined): value is KeptContainer {
  return isContainer(value) && value.isArray
}

/** Reducto's form for a result that is stored elsewhere, whatever other members the object has. */
export function isLink(value: Kept | undefined): value is KeptContainer {
  return at(value, 'type') === 'url' && isText(at(value, 'url'))
}

export function isText(value: Kept | undefined): value is string {
  return typeof value === 'string' && value !== ''
}

/** An extracted value with its citations in V3's form; it is never a part of a response. */
export function isCitedValue(value: Kept | undefined): boolean {
  return at(value, 'value') !== undefined && at(value, 'citations') !== undefined
}

export function hasShape(value: Kept | undefined, shape: Shape): boolean {
  switch (shape) {
    case 'array':
      return isArray(value)
    case 'object':
      return isObject(value)
    case 'text':
      return isText(value)
    case 'scalar':
      return value !== undefined && !isContainer(value)
    case 'present':
      return value !== undefined && !isCitedValue(value)
  }
}

/** Describes a value for messages. */
export function describe(value: Kept | undefined): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (isArray(value)) return 'an array'
  if (isObject(value)) return value.size === 0 ? 'an empty object' : 'an object'
  return `a ${typeof value}`
}
