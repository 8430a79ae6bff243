import { createDocumentThread, type Reader, serveDocuments } from '../document-thread.ts'
import { type Reading, type Role, readingOf } from './places.ts'
import { createScanner } from './scan.ts'

/** Reads a document that arrives in pieces. Throws NotJson, or what the source throws. */
export type ScanDocument = (source: AsyncIterable<Uint8Array>, role: Role) => Promise<Reading>

/** Scans documents; large ones on a thread of its own. */
export function createScanThread(): { scan: ScanDocument; close(): Promise<void> } {
  const thread = createDocumentThread(import.meta.url, createReader)
  return {
    async scan(source, role) {
      const reading = thread.read(source, role)
      let step = await reading.next()
      while (!step.done) step = await reading.next()
      return step.value
    },
    close: thread.close,
  }
}

/** Finds nothing before the end: where a link stands is only known then. */
function createReader(role: Role): Reader<void, Reading> {
  const scanner = createScanner({ linksWanted: role !== 'values' })
  return { write: scanner.write, end: () => readingOf(scanner.end(), role) }
}

serveDocuments(import.meta.url, createReader)
