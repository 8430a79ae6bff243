import type { DatabaseSync } from 'node:sqlite'
import { textsOf } from '../search/texts.ts'
import { textOf } from './lookups.ts'
import { type Head, headOf, indexedText, SideFileRefused } from './side-file.ts'

/** Deliveries in one step. */
const STEP_DELIVERIES = 200
/** Their bodies, bytes: a step must end soon, also with bodies of 1 MiB. */
const MAX_STEP_BYTES = 2 * 1024 * 1024
/** Rows of the index that one step compares with the database. */
const SWEEP_ROWS = 1_000
/** What one sweep compares of the whole, after the oldest: so everything has its turn in the end. */
const SWEEP_STEPS = 50
/** Pages of the index that a step merges: a few tens of milliseconds. */
const MERGE_PAGES = 64

type DeliveryRow = {
  readonly seq: number
  readonly svix_id: string
  readonly is_later: number
  readonly body: Uint8Array | null
}

/** Keeps the index up to date with the database, in steps that each are one short transaction of the index. */
export function createIndexer(main: DatabaseSync, side: DatabaseSync) {
  const anchor = main.prepare('SELECT svix_id AS id FROM delivery WHERE seq = :seq')
  const newest = main.prepare('SELECT MAX(seq) AS seq FROM delivery')
  const next = main.prepare(
    `SELECT seq, svix_id, is_later, body FROM delivery LEFT JOIN delivery_body USING (seq) WHERE seq > :after
     ORDER BY seq LIMIT ${STEP_DELIVERIES}`,
  )
  const ofJob = main.prepare(
    `SELECT first_delivery AS seq FROM job WHERE job_id = :jobId AND first_delivery IS NOT NULL
     UNION SELECT seq FROM delivery WHERE is_later = 1 AND job_id = :jobId`,
  )
  const bodies = main.prepare('SELECT seq FROM delivery_body WHERE seq BETWEEN :from AND :to')
  const insert = side.prepare('INSERT OR REPLACE INTO words (rowid, text) VALUES (:seq, :text)')
  const kept = side.prepare(`SELECT id AS seq FROM words_docsize WHERE id > :after ORDER BY id LIMIT ${SWEEP_ROWS}`)
  const has = side.prepare('SELECT 1 FROM words_docsize WHERE id = :seq')
  const remove = side.prepare('DELETE FROM words WHERE rowid = :seq')
  const moveHead = side.prepare('UPDATE head SET indexed = :indexed, anchor = :anchor')
  const setDirty = side.prepare('UPDATE head SET is_dirty = :isDirty')
  const setSwept = side.prepare('UPDATE head SET swept = :swept')
  const merge = side.prepare(`INSERT INTO words (words, rank) VALUES ('merge', :pages)`)
  const changes = side.prepare('SELECT total_changes() AS count')

  function transaction<T>(run: () => T): T {
    side.exec('BEGIN IMMEDIATE')
    try {
      const result = run()
      side.exec('COMMIT')
      return result
    } catch (error) {
      if (side.isTransaction) side.exec('ROLLBACK')
      throw error
    }
  }

  /**
   * Indexes the next deliveries; returns how many it looked at.
   * @throws SideFileRefused when the index was made from another database than this one has become
   */
  function step(): number {
    const head = headOf(side)
    checkAnchor(head)
    const rows: DeliveryRow[] = []
    let bytes = 0
    for (const row of next.iterate({ after: head.indexed }) as Iterable<DeliveryRow>) {
      rows.push(row)
      bytes += row.body?.length ?? 0
      if (bytes >= MAX_STEP_BYTES) break
    }
    const last = rows.at(-1)
    if (!last) return 0
    transaction(() => {
      for (const { seq, is_later, body } of rows) {
        // Only the first delivery of a job is searched.
        const text = body && is_later === 0 ? indexedText(textsOf(textOf(body))) : ''
        if (text !== '') insert.run({ seq, text })
      }
      moveHead.run({ indexed: last.seq, anchor: last.svix_id })
    })
    return rows.length
  }

  function checkAnchor({ indexed, anchor: id }: Head): void {
    if (indexed === 0) return
    const there = anchor.get({ seq: indexed }) as { id: string } | undefined
    // One that was deleted with its retention is missing; younger ones follow it.
    const isHere = there ? there.id === id : ((newest.get() as { seq: number | null }).seq ?? 0) > indexed
    if (!isHere) throw new SideFileRefused('made before the database was replaced')
  }

  function removeRows(seqs: readonly number[]): void {
    if (seqs.length === 0) return
    for (const seq of seqs) remove.run({ seq })
    setDirty.run({ isDirty: 1 })
  }

  /** Deletes what the index has of an erased job. The words are still in the file until it is merged. */
  function forget(jobId: string): void {
    const seqs = (ofJob.all({ jobId }) as { seq: number }[]).map(({ seq }) => seq)
    transaction(() => removeRows(seqs.filter((seq) => has.get({ seq }) !== undefined)))
  }

  /** Deletes the rows after `after` that have no body any more. Null at the end of the index. */
  function sweepStep(after: number): { readonly to: number; readonly removed: number } | null {
    return transaction(() => {
      const seqs = (kept.all({ after }) as { seq: number }[]).map(({ seq }) => seq)
      if (seqs.length === 0) return null
      const found = bodies.all({ from: seqs[0]!, to: seqs.at(-1)! }) as { seq: number }[]
      const there = new Set(found.map(({ seq }) => seq))
      const gone = seqs.filter((seq) => !there.has(seq))
      removeRows(gone)
      return { to: seqs.at(-1)!, removed: gone.length }
    })
  }

  /** Takes out what was pruned, which are the oldest, and a part of the rest: a yield after each step. */
  function* sweep(): Generator<void> {
    for (let at = 0; ; ) {
      const done = sweepStep(at)
      yield
      if (done === null || done.removed === 0) break
      at = done.to
    }
    let at = headOf(side).swept
    for (let index = 0; index < SWEEP_STEPS; index++) {
      const done = sweepStep(at)
      at = done?.to ?? 0
      setSwept.run({ swept: at })
      yield
      if (done === null) break
    }
  }

  /** Rewrites the index without what was deleted, and the file without traces of it: a yield after each step. */
  function* purge(): Generator<void> {
    if (headOf(side).is_dirty === 0) return
    // The first one decides what is merged; the others go on with that until nothing is left to do.
    for (let pages = -MERGE_PAGES; ; pages = MERGE_PAGES) {
      const before = (changes.get() as { count: number }).count
      merge.run({ pages })
      const changed = (changes.get() as { count: number }).count - before
      yield
      if (pages > 0 && changed < 2) break
    }
    setDirty.run({ isDirty: 0 })
    const { busy } = side.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number }
    // Somebody reads: the next time then. Until the log is emptied, the words are in it.
    if (busy === 1) setDirty.run({ isDirty: 1 })
  }

  const isTidy = () => headOf(side).is_dirty === 0

  const indexed = () => headOf(side).indexed

  return { step, forget, sweep, purge, indexed, isTidy }
}

export type Indexer = ReturnType<typeof createIndexer>
