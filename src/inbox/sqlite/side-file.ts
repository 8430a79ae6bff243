import { rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { Reading, SearchQuery } from '../search/query.ts'
import type { SearchText } from '../search/texts.ts'
import { beginningOf, lengthOf } from '../search/words.ts'
import { ensurePrivateFile } from './private-file.ts'

/**
 * The index of search, in a file beside the database: the words of each first delivery's metadata, under the number of the
 * delivery. It is derived from the database: whoever doubts it deletes it. `head` says whose it is (`database`, the secret
 * `search` there) and how far it goes: up to the delivery `indexed`, whose svix-id was `anchor` when it got there.
 *
 * The texts themselves are not kept, nor where a word stands: what the index finds is a candidate.
 */
const SEARCH_VERSION = 1

/** Lengths of beginnings that are indexed, in characters: the search for any other is as slow as all its words are common. */
const PREFIXES = [6, 3] as const
/** Terms that the index is asked for; the rest is compared with the candidates. */
const MAX_INDEXED_TERMS = 8
/** A private character, which is in no word: keys are words of their own. */
const KEY = '\ue000'
/** How long a write to it waits for another one's, ms. */
const BUSY_TIMEOUT_MS = 1_000

// The words are made by search/words.ts: `ascii` only splits at spaces, and keeps everything that is not ASCII.
const SCHEMA = `
  CREATE VIRTUAL TABLE words USING fts5(text, content = '', contentless_delete = 1, detail = none, prefix = '3 6', tokenize = 'ascii');
  CREATE TABLE head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    database BLOB NOT NULL,
    indexed  INTEGER NOT NULL DEFAULT 0,
    anchor   TEXT,
    swept    INTEGER NOT NULL DEFAULT 0,
    is_dirty INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  PRAGMA user_version = ${SEARCH_VERSION};`

/** `swept`: up to which delivery it was compared with the database last; `is_dirty`: words of deleted rows are still in the file. */
export type Head = {
  readonly database: Uint8Array
  readonly indexed: number
  readonly anchor: string | null
  readonly swept: number
  readonly is_dirty: number
}

export function sideFileOf(path: string): string {
  return `${path}.search`
}

/** Deletes the index of the database at `path`, which the service builds anew. */
export function removeSideFile(path: string): void {
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(`${sideFileOf(path)}${end}`, { force: true })
}

/** The file belongs to another database, or to another version of the service. */
export class SideFileRefused extends Error {
  override readonly name = 'SideFileRefused'
}

/**
 * Opens the index of the database at `path`, whose id is `database`; with `create`, makes it if there is none.
 * @throws SideFileRefused, and SQLite's errors
 */
export function openSideFile(
  path: string,
  database: Uint8Array,
  { mode }: { readonly mode: 'read' | 'write' | 'create' },
): DatabaseSync {
  const file = sideFileOf(path)
  if (mode === 'create') ensurePrivateFile(file)
  const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS, readOnly: mode === 'read' })
  try {
    if (mode !== 'read')
      db.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA cache_size = -8192',
      )
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    if (version === 0 && mode === 'create') {
      db.exec(`BEGIN IMMEDIATE; ${SCHEMA}`)
      db.prepare('INSERT INTO head (id, database) VALUES (1, ?)').run(database)
      db.exec('COMMIT')
    } else if (version !== SEARCH_VERSION) throw new SideFileRefused('made by another version')
    if (!Buffer.from(headOf(db).database).equals(database)) throw new SideFileRefused('of another database')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

export function headOf(db: DatabaseSync): Head {
  const head = db.prepare('SELECT * FROM head').get() as Head | undefined
  if (!head) throw new SideFileRefused('has no head')
  return head
}

/** What the index keeps of a delivery: each word, and each key, once. */
export function indexedText(texts: readonly SearchText[]): string {
  const words = new Set<string>()
  for (const text of texts) {
    for (const key of text.keys) words.add(keyWord(key))
    for (const word of text.words) words.add(word)
  }
  return [...words].join(' ')
}

/** What finds all candidates, as FTS5 writes it. Null when no words are asked for. */
export function expressionOf({ terms }: SearchQuery): string | null {
  const parts = terms.slice(0, MAX_INDEXED_TERMS).map((term) => `(${term.map(readingOf).join(' OR ')})`)
  return parts.length > 0 ? parts.join(' AND ') : null
}

/** Words are letters and digits, so that none can be taken for an operator. */
function readingOf({ key, words, isPrefix }: Reading): string {
  const asked = words.map((word, index) => (isPrefix && index === words.length - 1 ? prefixOf(word) : `"${word}"`))
  return `(${[...(key === null ? [] : [`"${keyWord(key)}"`]), ...new Set(asked)].join(' AND ')})`
}

function prefixOf(word: string): string {
  const length = PREFIXES.find((one) => one <= lengthOf(word))
  return length === undefined ? `"${word}"` : `"${beginningOf(word, length)}" *`
}

function keyWord(key: string): string {
  return `${KEY}${key.replaceAll(' ', KEY)}`
}

/** The id of the database, which its index has too; null before a service has run on it. */
export function databaseIdOf(db: DatabaseSync): Uint8Array | null {
  const row = db.prepare(`SELECT value FROM secret WHERE name = 'search'`).get() as { value: Uint8Array } | undefined
  return row?.value ?? null
}
