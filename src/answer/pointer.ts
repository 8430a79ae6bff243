/** The names and array indexes that lead to a value. */
export type Path = readonly (string | number)[]

/** A step of a JSON Pointer (RFC 6901). */
export function pointerStep(step: string | number): string {
  return typeof step === 'number' ? String(step) : step.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The JSON Pointer (RFC 6901) of a path. */
export function pointerOf(path: Path): string {
  return path.map((step) => `/${pointerStep(step)}`).join('')
}
