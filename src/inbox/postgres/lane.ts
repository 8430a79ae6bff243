import type pg from 'pg'
import { type ConnectOptions, connect, discard, SCHEMA, statementName } from './connect.ts'
import { breaksConnection, CommitUnknown, isContention, refusesNames } from './errors.ts'
import { storable } from './rows.ts'

/**
 * A lane is one connection with one transaction at a time. It is made when it is needed, and made anew after it broke.
 * Statements travel together (pipelining), and whatever a transaction sets is local to it: a pooler in transaction mode may
 * stand in between.
 */
export type Lane = {
  /**
   * Runs one transaction. `run` may be called a second time when the first is certainly not kept.
   * @throws CommitUnknown when the answer to COMMIT was lost; the error that ended it otherwise.
   */
  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T>
  /** Ends what is under way and what waits, now: it rejects, and may be kept all the same. */
  giveUp(): void
  /** Resolves when what was begun before has ended. */
  close(): Promise<void>
}

export type Statement = { readonly text: string; readonly values?: readonly unknown[] }
type Row = Record<string, unknown>

export type Transaction = {
  /** Sends a statement and resolves to its rows. */
  query<R extends object = Row>(text: string, values?: readonly unknown[]): Promise<R[]>
  /** Sends statements together. */
  all(statements: readonly Statement[]): Promise<Row[][]>
  /** Sends the last statements with the COMMIT: nothing may follow. */
  commit(statements?: readonly Statement[]): Promise<Row[][]>
}

/** Shared by all lanes of a process: whether statements are prepared by name. */
type Naming = { named: boolean }

/** A statement ends after this time, ms; a wait for a lock sooner, and a transaction that does nothing. */
const STATEMENT_TIMEOUT_MS = 15_000
const LOCK_TIMEOUT_MS = 10_000
/**
 * A transaction that does not get its turn within this time is refused, ms: behind a connection that hangs, questions would
 * gather for as long as it does.
 */
const MAX_WAIT_MS = 15_000
/** A server that has not closed a connection after this time is not waited for, ms. */
const MAX_GOODBYE_MS = 500
/** Tries of a transaction that is certainly not kept: over a broken connection, a deadlock, refused names. */
const MAX_TRIES = 3

export type LaneOptions = ConnectOptions & {
  readonly naming: Naming
  /** `off`: a commit need not be on the disk, as for beats. */
  readonly sync?: 'on' | 'off'
  /** How long a statement may take, ms. */
  readonly statementTimeout?: number
  /** How long a transaction may wait for its turn, ms. */
  readonly maxWait?: number
}

type Connected = { readonly client: pg.Client; readonly begin: string }

export function createLane(options: LaneOptions): Lane {
  const schema = options.schema ?? SCHEMA
  let connected: Promise<Connected> | null = null
  let last: Promise<unknown> = Promise.resolve()
  let isClosed = false
  /** Rejects what is under way. */
  let abort: (error: Error) => void = () => {}

  async function open(): Promise<Connected> {
    const client = await connect(options)
    try {
      const { rows } = await client.query(`SELECT current_setting('synchronous_commit') AS sync`)
      return { client, begin: beginning(rows[0].sync) }
    } catch (error) {
      discard(client)
      throw error
    }
  }

  /** A role or a database may have turned durability off: `remote_apply` and the like are kept. */
  function beginning(sync: string): string {
    const wanted = options.sync === 'off' ? 'off' : ['off', 'local'].includes(sync) ? 'on' : null
    return [
      'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
      `SET LOCAL search_path TO "${schema}"`,
      `SET LOCAL statement_timeout = ${options.statementTimeout ?? STATEMENT_TIMEOUT_MS}`,
      `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
      `SET LOCAL idle_in_transaction_session_timeout = ${options.statementTimeout ?? STATEMENT_TIMEOUT_MS}`,
      ...(wanted ? [`SET LOCAL synchronous_commit = ${wanted}`] : []),
    ].join(';')
  }

  async function once<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    connected ??= open()
    const making = connected
    const made = await making.catch((error) => {
      // Whatever the reason, too many connections among them: the next transaction tries again.
      if (connected === making) connected = null
      throw error
    })
    try {
      return await transact(made, run)
    } catch (error) {
      if (!breaksConnection(error) && !refusesNames(error)) throw error
      if (connected === making) connected = null
      discard(made.client)
      throw error
    }
  }

  async function transact<T>({ client, begin }: Connected, run: (tx: Transaction) => Promise<T>): Promise<T> {
    let isCommitted = false
    const send = ({ text, values: given }: Statement): Promise<pg.QueryResult> => {
      const values = given?.map(storableValue) as unknown[]
      return client.query(
        options.naming.named && given ? { name: statementName(schema, text), text, values } : { text, values },
      )
    }
    const begun = quiet(client.query(begin))

    async function all(statements: readonly Statement[]): Promise<Row[][]> {
      const sent = [begun, ...statements.map((statement) => quiet(send(statement)))]
      return rowsOf(await first(sent))
    }

    async function commit(statements: readonly Statement[] = []): Promise<Row[][]> {
      isCommitted = true
      const sent = [begun, ...statements.map((statement) => quiet(send(statement))), quiet(client.query('COMMIT'))]
      const results = await first(sent).catch((error) => {
        throw breaksConnection(error) ? new CommitUnknown('the answer to a commit was lost', { cause: error }) : error
      })
      // A transaction that failed answers to COMMIT with ROLLBACK, and not with an error.
      if (results.at(-1)!.command !== 'COMMIT') throw new Error('the transaction was rolled back')
      return rowsOf(results.slice(0, -1))
    }

    try {
      const result = await run({
        all,
        commit,
        query: async (text, values = []) => (await all([{ text, values }]))[0] as never,
      })
      if (!isCommitted) await commit()
      return result
    } catch (error) {
      // After a COMMIT there is nothing to roll back; a broken connection has done it.
      if (!isCommitted && !breaksConnection(error)) await client.query('ROLLBACK').catch(() => {})
      throw error
    }
  }

  async function transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await once(run)
      } catch (error) {
        if (error instanceof CommitUnknown) connected = discarded(connected)
        if (isClosed || tries >= MAX_TRIES || !mayBeRepeated(error, tries)) throw error
      }
    }
  }

  /** A lost answer to COMMIT is not repeated here: whoever asked knows what that means. */
  function mayBeRepeated(error: unknown, tries: number): boolean {
    if (error instanceof CommitUnknown) return false
    if (refusesNames(error) && options.naming.named) {
      options.naming.named = false
      return true
    }
    // A connection that broke while it was idle says nothing about the server: once over a new one.
    return isContention(error) || (breaksConnection(error) && tries === 1)
  }

  /** Waits for the turn of a transaction; throws when that takes too long. */
  async function turnAfter(before: Promise<unknown>): Promise<void> {
    const maxWait = options.maxWait ?? MAX_WAIT_MS
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`waited too long for the database: ${maxWait} ms`)), maxWait)
    })
    try {
      await Promise.race([before, tooLong])
    } finally {
      clearTimeout(timer)
    }
    if (isClosed) throw new Error('the connection is closed')
  }

  function abortable<T>(running: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      abort = reject
      running.then(resolve, reject)
    })
  }

  return {
    transaction(run) {
      const before = last
      const turn = turnAfter(before).then(() => abortable(transaction(run)))
      // One that was refused leaves the turn to those before it.
      last = Promise.allSettled([before, turn])
      return turn
    },
    giveUp() {
      isClosed = true
      connected = discarded(connected)
      abort(new Error('the connection is closed'))
    },
    async close() {
      await last
      isClosed = true
      const open = await connected?.catch(() => null)
      connected = null
      if (open) await sayGoodbye(open.client)
    },
  }
}

/** Every promise under way needs somebody who hears it: a second rejection would end the process. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** Whatever text is sent, of a list too, can be stored: one that cannot would fail its whole transaction. */
function storableValue(value: unknown): unknown {
  if (typeof value === 'string') return storable(value)
  return Array.isArray(value) ? value.map(storableValue) : value
}

/** All results, or the first error: those after it only say that the transaction is over. */
async function first(sent: readonly Promise<pg.QueryResult>[]): Promise<pg.QueryResult[]> {
  const results: pg.QueryResult[] = []
  for (const one of sent) results.push(await one)
  return results
}

function rowsOf(results: readonly pg.QueryResult[]): Row[][] {
  return results.slice(1).map(({ rows }) => rows)
}

/** Ends a connection as the server likes it, unless that takes too long. */
async function sayGoodbye(client: pg.Client): Promise<void> {
  const tooLong = Promise.withResolvers<void>()
  const timer = setTimeout(tooLong.resolve, MAX_GOODBYE_MS)
  await Promise.race([client.end(), tooLong.promise]).catch(() => {})
  clearTimeout(timer)
  discard(client)
}

function discarded(connected: Promise<Connected> | null): null {
  void connected?.then(({ client }) => discard(client)).catch(() => {})
  return null
}
