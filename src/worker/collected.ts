import type { FoundLink } from '../answer/scan-thread.ts'
import type { FileEntry } from '../results/record.ts'
import type { LinkFailure, SavedLink } from './save-link.ts'

/** What is known of every link of one result: where it was saved, or why it was not. */
export type Collected = {
  /** The path of what was saved for this link; null when nothing was. */
  pathOf(document: string, link: FoundLink): string | null
  /** The number that names the link's file: the same for every try, and that of no other file in the draft. */
  numberOf(document: string, link: FoundLink): number
  /** The links of a saved document: none of them may be left out of the list. */
  noteLinks(document: string, links: readonly FoundLink[]): void
  linksOf(document: string): readonly FoundLink[] | undefined
  /** Forgets why the last try failed, before another one. */
  trying(document: string, link: FoundLink): void
  noteSaved(document: string, link: FoundLink, file: SavedLink['file']): void
  noteFailed(document: string, failure: LinkFailure): void
  /** How what failed may be had. */
  again(): ReadonlySet<LinkFailure['again']>
  /** Saved documents with something missing in them, or in a document that they lead to. */
  incompleteDocuments(): ReadonlySet<string>
  /** Why there is no result: a part of it that is not saved. */
  missingEssential(): LinkFailure | null
  /** An entry for every link that is known; what was not tried, or was broken off, is missing too. */
  entries(): readonly FileEntry[]
}

const NUMBER = /(?:^|\/)files\/(\d+)-/

/** `had`: what an earlier attempt saved, or missed. */
export function createCollected(had: readonly FileEntry[]): Collected {
  const entries = new Map(had.map((entry) => [keyOf(entry.in, entry.pointer), entry]))
  const failures = new Map<string, LinkFailure>()
  const documents = new Map<string, readonly FoundLink[]>()
  const numbers = new Map<string, number>()
  let last = highestNumber(had)

  function* missing(): Iterable<{ key: string; document: string; link: FoundLink; failure: LinkFailure }> {
    for (const [document, links] of documents)
      for (const link of links) {
        const key = keyOf(document, link.pointer)
        const entry = entries.get(key)
        if (entry && 'path' in entry) continue
        const message = entry?.error ?? 'not downloaded before the attempt ended'
        const failure = failures.get(key) ?? { link, message, again: 'later' as const, lacks: false }
        yield { key, document, link, failure }
      }
  }

  return {
    pathOf(document, { pointer }) {
      const entry = entries.get(keyOf(document, pointer))
      return entry && 'path' in entry ? entry.path : null
    },
    numberOf(document, { pointer }) {
      const key = keyOf(document, pointer)
      const number = numbers.get(key) ?? ++last
      numbers.set(key, number)
      return number
    },
    noteLinks: (document, links) => void documents.set(document, links),
    linksOf: (document) => documents.get(document),
    trying: (document, { pointer }) => void failures.delete(keyOf(document, pointer)),
    noteSaved(document, { pointer }, file) {
      entries.set(keyOf(document, pointer), { in: document, pointer, ...file })
    },
    noteFailed(document, failure) {
      const { pointer } = failure.link
      const key = keyOf(document, pointer)
      failures.set(key, failure)
      const entry = entries.get(key)
      // What is saved stays, though it could not be looked through again.
      if (!entry || 'error' in entry) entries.set(key, { in: document, pointer, error: failure.message })
    },
    again: () => new Set([...failures.values()].map((failure) => failure.again)),
    incompleteDocuments() {
      const owners = new Map<string, string>()
      for (const entry of entries.values()) if ('path' in entry) owners.set(entry.path, entry.in)
      const found = new Set<string>()
      for (const entry of entries.values())
        if ('error' in entry)
          for (let at: string | undefined = entry.in; at !== undefined && !found.has(at); at = owners.get(at))
            found.add(at)
      return found
    },
    missingEssential() {
      for (const { link, failure } of missing()) if (link.essential) return failure
      return null
    },
    entries() {
      for (const { key, document, link, failure } of [...missing()]) {
        failures.set(key, failure)
        entries.set(key, { in: document, pointer: link.pointer, error: failure.message })
      }
      return [...entries.values()]
    },
  }
}

function keyOf(document: string, pointer: string): string {
  return `${document}#${pointer}`
}

function highestNumber(had: readonly FileEntry[]): number {
  let highest = 0
  for (const entry of had) if ('path' in entry) highest = Math.max(highest, Number(NUMBER.exec(entry.path)?.[1] ?? 0))
  return highest
}
