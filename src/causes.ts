/** Maximum number of causes; deeper or wider ones help no reader. */
const MAX_CAUSES = 32

/**
 * An error and everything that caused it: its `cause`, the `errors` of an AggregateError, and theirs, each once.
 * Terminates for any error: a cause may refer to itself, may not be an Error, or may throw when it is read.
 */
export function causesOf(error: unknown): readonly unknown[] {
  const found = new Set<unknown>([error])
  for (const one of found) {
    if (found.size >= MAX_CAUSES) break
    if (typeof one !== 'object' || one === null) continue
    for (const inner of directCausesOf(one)) found.add(inner)
  }
  return [...found].slice(0, MAX_CAUSES)
}

/** The list, like the error, may be a proxy or have a class of its own. */
function directCausesOf(error: object): readonly unknown[] {
  const direct: unknown[] = []
  try {
    const { cause, errors } = error as { cause?: unknown; errors?: unknown }
    if (cause !== undefined && cause !== null) direct.push(cause)
    if (Array.isArray(errors)) for (let at = 0; at < errors.length && at < MAX_CAUSES; at++) direct.push(errors[at])
  } catch {
    // Keeps the causes read so far.
  }
  return direct
}
