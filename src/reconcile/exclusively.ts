/**
 * Runs work that must not run twice at once. Resolves to null, and runs nothing, while another one does it. Within a
 * process here; a store that several processes share can wrap it with a lock of its own.
 */
export type Exclusively = <T>(name: string, work: () => Promise<T>) => Promise<T | null>

export function createExclusively(): Exclusively {
  const running = new Set<string>()
  return async (name, work) => {
    if (running.has(name)) return null
    running.add(name)
    try {
      return await work()
    } finally {
      running.delete(name)
    }
  }
}
