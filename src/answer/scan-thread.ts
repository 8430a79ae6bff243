import { createDocumentThread, type DocumentParser, type OpenDocument, serveDocuments } from './document-thread.ts'
import { NotJson } from './errors.ts'
import type { FoundLink } from './links.ts'
import type { Role } from './plan.ts'
import { type Reading, readingOf, readingOfOther } from './reading.ts'
import { createScanner } from './scan.ts'
import type { PoolOptions } from './thread-pool.ts'

export type { FoundLink, Reading, Role }

/** A document that is scanned while it is written elsewhere. Ends with `end` or `drop`; both may be called twice. */
export type DocumentScan = {
  /**
   * Accepts the next piece, whose memory may be reused afterwards; waits while the thread is behind. Never throws:
   * errors of the document are reported by `end`, so that the document can be written completely.
   */
  write(piece: Uint8Array): Promise<void>
  /**
   * @throws NotJson for a role that must be JSON: the message says what is wrong, and where
   * @throws DocumentTooComplex when it exceeds one of the bounds in bounds.ts
   * @throws DocumentCrashed when this document crashed the thread that read it
   * @throws ReadInterrupted when another document did, or the thread was closed: scan it again
   */
  end(): Promise<Reading>
  /** Ends the scan; nobody waits for its findings. */
  drop(): void
}

export type ScanDocument = (role: Role) => DocumentScan

/** Links per message from the thread: receiving them takes about a millisecond. */
const LINKS_PER_MESSAGE = 1_000

/** Scans documents; large ones on threads. */
export function createScanThread(options: PoolOptions = {}): { scan: ScanDocument; close(): Promise<void> } {
  const thread = createDocumentThread<Role, Reading>(import.meta.url, createParser, options)
  return {
    scan(role) {
      const document = thread.open(role)
      let failure: { readonly error: unknown } | null = null
      let reading: Promise<Reading> | null = null
      return {
        async write(piece) {
          if (failure) return
          await document.write(piece).catch((error) => {
            failure = { error }
          })
        },
        end() {
          reading ??= failure ? Promise.reject(failure.error) : collect(document)
          return reading.catch((error) => {
            const other = error instanceof NotJson ? readingOfOther(role) : null
            if (other) return other
            throw error
          })
        },
        drop: () => document.drop(),
      }
    },
    close: thread.close,
  }
}

async function collect(document: OpenDocument<Reading>): Promise<Reading> {
  let first: Reading | null = null
  const links: FoundLink[] = []
  for await (const found of document.end())
    for (const portion of found) {
      first ??= portion
      for (const link of portion.links) links.push(link)
    }
  return { ...first!, links }
}

/** Reports nothing before the end: only then are the positions of links known. */
function createParser(role: Role): DocumentParser<Reading> {
  const scanner = createScanner(role)
  return {
    write(piece) {
      scanner.write(piece)
      return []
    },
    *end() {
      const reading = readingOf(scanner.end(), role)
      for (let at = 0; at === 0 || at < reading.links.length; at += LINKS_PER_MESSAGE)
        yield [{ ...reading, links: reading.links.slice(at, at + LINKS_PER_MESSAGE) }]
    },
  }
}

serveDocuments(import.meta.url, createParser)
