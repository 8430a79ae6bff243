import type { Inbox } from '../inbox/inbox.ts'

/** Runs work that must not run twice at once. Resolves to null, and runs nothing, while another one does it. */
export type Exclusively = <T>(name: string, work: () => Promise<T>) => Promise<T | null>

/** Services that share an inbox share the looks, too: one of them asks Reducto at a time. */
export function exclusivelyAcross(inbox: Pick<Inbox, 'exclusively'>): Exclusively {
  return async (name, work) => {
    const done: Awaited<ReturnType<typeof work>>[] = []
    await inbox.exclusively(name, async () => void done.push(await work()))
    return done.length > 0 ? done[0]! : null
  }
}
