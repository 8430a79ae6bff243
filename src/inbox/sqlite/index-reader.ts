import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { databaseIdOf, headOf, openSideFile, sideFileOf } from './side-file.ts'
import { raise, type Signals } from './signals.ts'

/** The index as it stands at one moment: a walk looks at the same one from its beginning to its end. */
export type IndexView = {
  /** Deliveries up to this one are in it. */
  readonly indexed: number
  /** The newest first. */
  matches(expression: string, range: { readonly from: number; readonly to: number; readonly limit: number }): number[]
}

/** The index failed while it was read. */
class IndexFailed extends Error {
  override readonly name = 'IndexFailed'
}

/** Reads the index beside a database, while another thread writes it, or deletes it. */
export function createIndexReader(main: DatabaseSync, signals: Signals | null) {
  const path = main.location() ?? ''
  const anchor = main.prepare('SELECT svix_id AS id FROM delivery WHERE seq = :seq')
  let open: { readonly db: DatabaseSync; readonly file: number } | null = null

  function close(): void {
    open?.db.close()
    open = null
  }

  /** Null when there is none, or none of this database. */
  function current(): DatabaseSync | null {
    const file = statSync(sideFileOf(path), { throwIfNoEntry: false })
    const id = file && databaseIdOf(main)
    if (!file || !id) return null
    // The one that was open may have been deleted meanwhile.
    if (open?.file === file.ino) return open.db
    close()
    open = { db: openSideFile(path, id, { mode: 'read' }), file: file.ino }
    return open.db
  }

  /** Runs `look` on the index; on null when it cannot be used, or fails meanwhile. */
  function using<T>(look: (index: IndexView | null) => T): T {
    let db: DatabaseSync | null = null
    let index: IndexView | null = null
    try {
      db = current()
      if (db) {
        db.exec('BEGIN')
        index = viewOf(db)
      }
    } catch {
      failed()
      index = null
    }
    try {
      return look(index)
    } catch (error) {
      if (!(error instanceof IndexFailed)) throw error
      failed()
      return look(null)
    } finally {
      if (db?.isOpen && db.isTransaction) db.exec('COMMIT')
    }
  }

  function failed(): void {
    close()
    raise(signals, 'fault')
  }

  /** Null when the database is not the one that it was made from: it was replaced, or its numbers began anew. */
  function viewOf(db: DatabaseSync): IndexView | null {
    const head = headOf(db)
    const there = anchor.get({ seq: head.indexed }) as { id: string } | undefined
    if (head.indexed > 0 && there?.id !== head.anchor) return null
    const statement = db.prepare(
      'SELECT rowid AS seq FROM words WHERE words MATCH :expression AND rowid BETWEEN :from AND :to ORDER BY rowid DESC LIMIT :limit',
    )
    return {
      indexed: head.indexed,
      matches(expression, range) {
        try {
          return (statement.all({ expression, ...range }) as { seq: number }[]).map(({ seq }) => seq)
        } catch (error) {
          throw new IndexFailed((error as Error).message, { cause: error })
        }
      },
    }
  }

  return { using }
}
