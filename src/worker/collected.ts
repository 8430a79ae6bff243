import type { FoundLink } from '../answer/scan-thread.ts'
import type { FileEntry } from '../results/record.ts'
import type { LinkFailure, SavedLink } from './save-link.ts'

/** The state of every link of one result: where the file was saved, or why it was not. */
export type Collected = {
  /** The path of the file saved for this link; null when none was. */
  pathOf(document: string, link: FoundLink): string | null
  /** The number that names the link's file: the same for every try, and unique in the draft. */
  numberOf(document: string, link: FoundLink): number
  /** Registers the links of a saved document, so that each of them is listed. */
  noteLinks(document: string, links: readonly FoundLink[]): void
  linksOf(document: string): readonly FoundLink[] | undefined
  /** Clears the failure of the last try before another one. */
  trying(document: string, link: FoundLink): void
  noteSaved(document: string, link: FoundLink, file: SavedLink['file']): void
  noteFailed(document: string, failure: LinkFailure): void
  /** The ways in which the failed links may be tried again. */
  again(): ReadonlySet<LinkFailure['again']>
  /** Saved documents that lack a file, directly or in a document that they lead to. */
  incompleteDocuments(): ReadonlySet<string>
  /** The failure of a required part; null when every required part is saved. */
  missingEssential(): LinkFailure | null
  /** An entry for every known link; links that were not tried or were interrupted count as missing. */
  entries(): readonly FileEntry[]
}

const NUMBER = /(?:^|\/)files\/(\d+)-/

/** `had`: the files that an earlier attempt saved or missed. */
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
      // A saved file stays saved, even if it could not be read again.
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
