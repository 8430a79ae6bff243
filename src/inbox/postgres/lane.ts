import type pg from 'pg'
import { type ConnectOptions, connect, discard, SCHEMA, statementName } from './connect.ts'
import { breaksConnection, CommitUnknown, isContention, refusesNames } from './errors.ts'

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
/** Tries of a transaction that is certainly not kept: over a broken connection, a deadlock, refused names. */
const MAX_TRIES = 3

export type LaneOptions = ConnectOptions & {
  readonly naming: Naming
  /** `off`: a commit need not be on the disk, as for beats. */
  readonly sync?: 'on' | 'off'
  /** How long a statement may take, ms. */
  readonly statementTimeout?: number
}

type Connected = { readonly client: pg.Client; readonly begin: string }

export function createLane(options: LaneOptions): Lane {
  const schema = options.schema ?? SCHEMA
  let connected: Promise<Connected> | null = null
  let last: Promise<unknown> = Promise.resolve()
  let isClosed = false

  async function open(): Promise<Connected> {
    const client = await connect(options)
    const { rows } = await client.query(`SELECT current_setting('synchronous_commit') AS sync`)
    return { client, begin: beginning(rows[0].sync) }
  }

  /** A role or a database may have turned durability off: `remote_apply` and the like are kept. */
  function beginning(sync: string): string {
    const wanted = options.sync === 'off' ? 'off' : ['off', 'local'].includes(sync) ? 'on' : null
    return [
      'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
      `SET LOCAL search_path TO "${schema}"`,
      `SET LOCAL statement_timeout = ${options.statementTimeout ?? STATEMENT_TIMEOUT_MS}`,
      `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
      `SET LOCAL idle_in_transaction_session_timeout = ${STATEMENT_TIMEOUT_MS}`,
      ...(wanted ? [`SET LOCAL synchronous_commit = ${wanted}`] : []),
    ].join(';')
  }

  async function once<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    connected ??= open()
    const making = connected
    try {
      return await transact(await making, run)
    } catch (error) {
      if (!breaksConnection(error) && !refusesNames(error)) throw error
      if (connected === making) connected = null
      void making.then(({ client }) => discard(client)).catch(() => {})
      throw error
    }
  }

  async function transact<T>({ client, begin }: Connected, run: (tx: Transaction) => Promise<T>): Promise<T> {
    let isCommitted = false
    const send = ({ text, values }: Statement): Promise<pg.QueryResult> =>
      client.query(
        options.naming.named && values
          ? { name: statementName(schema, text), text, values: values as unknown[] }
          : { text, values: values as unknown[] },
      )
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

  return {
    transaction(run) {
      const turn = last.then(() => {
        if (isClosed) throw new Error('the connection is closed')
        return transaction(run)
      })
      last = turn.catch(() => {})
      return turn
    },
    async close() {
      await last
      isClosed = true
      const open = await connected?.catch(() => null)
      connected = null
      await open?.client.end().catch(() => {})
    },
  }
}

/** Every promise under way needs somebody who hears it: a second rejection would end the process. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
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

function discarded(connected: Promise<Connected> | null): null {
  void connected?.then(({ client }) => discard(client)).catch(() => {})
  return null
}
