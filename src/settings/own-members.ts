/**
 * Settings are read from an object's own members: of an array, a Map or an object that inherits them they would be missed,
 * and defaults would take their place without a word.
 */

/** What is wrong with the object itself that settings are given in. */
export function plainProblems(option: 'settings' | 'environment', value: unknown): readonly string[] {
  return isPlain(value) ? [] : [`${option}: must be a plain object`]
}

/** An object of a class counts while all is its own, and so does the environment of the process. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return (
    isRoot(prototype) ||
    (isRoot(Object.getPrototypeOf(prototype)) && Reflect.ownKeys(prototype).every((name) => name === 'constructor'))
  )
}

/** Also the prototype of plain objects that another realm has made. */
function isRoot(prototype: unknown): boolean {
  return (
    prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'toString'))
  )
}
