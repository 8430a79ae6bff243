/** Errors whose causes go deeper, or branch wider, say nothing more that anybody reads. */
const MAX_CAUSES = 32

/**
 * An error and everything that caused it: its `cause`, the `errors` of an AggregateError, and theirs, each once. Ends
 * whatever the errors are: a cause may name itself, be no Error, or throw when it is read.
 */
export function causesOf(error: unknown): readonly unknown[] {
  const found = new Set<unknown>([error])
  for (const one of found) {
    if (found.size >= MAX_CAUSES) break
    if (typeof one !== 'object' || one === null) continue
    const { cause, errors } = membersOf(one)
    if (cause !== undefined && cause !== null) found.add(cause)
    if (Array.isArray(errors)) for (const inner of errors.slice(0, MAX_CAUSES)) found.add(inner)
  }
  return [...found].slice(0, MAX_CAUSES)
}

function membersOf(error: object): { cause?: unknown; errors?: unknown } {
  try {
    const { cause, errors } = error as { cause?: unknown; errors?: unknown }
    return { cause, errors }
  } catch {
    return {}
  }
}
