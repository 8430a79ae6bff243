import { stat, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { DatabaseRefused } from '../inbox/inbox.ts'
import { INBOX_VERSION, inboxBytes, inspectInbox } from '../inbox/open.ts'
import { storageProblems } from '../settings/machine.ts'
import { formatBytes } from '../units.ts'
import type { Check, DoctorContext } from './context.ts'
import { findingOf, type Item, ok, problem, warning } from './finding.ts'

/** The log is moved into the database long before: beyond this somebody reads for hours, bytes. */
const MAX_LOG_BYTES = 512 * 1024 * 1024
/** The check of a database reads all of it; a large one is given up after so long, ms. */
const INSPECT_TIMEOUT_MS = 30_000

/** Whether what is acknowledged stays: the disk, the file, its schema, its pages. */
export const database: Check = {
  name: 'database',
  group: 'here',
  limit: INSPECT_TIMEOUT_MS + 10_000,
  async run({ settings, ledger }) {
    const place = settings.get('database')
    if (place.kind === 'postgres') return onServer(place, ledger)
    const path = resolve(place.path)
    const denied = storageProblems({ database: place, results: { kind: 'file', path: dirname(path) } }).slice(0, 1)
    if (denied[0]) return findingOf([problem(denied[0], 'let the service’s user write there, or set DATABASE_URL')])
    try {
      const looked = await inspectInbox(place, INSPECT_TIMEOUT_MS)
      const onDisk =
        looked.disk === null
          ? []
          : [warning(looked.disk, 'acknowledged deliveries would be lost with it: keep it on a disk that stays')]
      if (looked.is === 'absent')
        return findingOf([
          ...onDisk,
          warning(`there is no database ${path} yet`, 'the first start of the service makes it'),
        ])
      const { database: bytes, log } = await inboxBytes(place)
      return findingOf([...onDisk, ...(await ofOtherUser(path)), ...found(path, looked, bytes, log)])
    } catch (error) {
      if (error instanceof DatabaseRefused) return findingOf([problem(error.message, null)])
      return findingOf([await unreadable(path, error as Error)])
    }
  },
}

/** A database server: whether it answers with a schema of this version, and who works on it. */
async function onServer({ location }: { readonly location: string }, ledger: DoctorContext['ledger']) {
  const replicas = await (await ledger()).replicas()
  return findingOf([
    ok(`${location} answers, and has an inbox of this version; services that work on it: ${replicas.length}`),
    warning(
      'whether a failover of that server keeps every commit cannot be seen from here',
      'have its standby synchronous, or run `reconcile` after a failover: see docs/postgresql.md',
    ),
  ])
}

type Looked = Exclude<Awaited<ReturnType<typeof inspectInbox>>, { readonly is: 'absent' }>

/** On a full disk SQLite cannot make the files that it needs even for reading. */
async function unreadable(path: string, { message }: Error): Promise<Item> {
  const { bavail } = await statfs(dirname(path))
  if (bavail === 0)
    return problem(`${path} cannot be opened while its disk is full (${message})`, 'make room: see disk')
  const cure = 'if it is damaged: `restore` a backup, with the service stopped'
  return problem(`${path} cannot be read: ${message}`, cure)
}

/** What this user may do says little about another one. */
async function ofOtherUser(path: string): Promise<readonly Item[]> {
  const [{ uid }, own] = [await stat(path), process.getuid?.()]
  if (own === undefined || uid === own) return []
  return [warning(`doctor runs as uid ${own}, and ${path} belongs to uid ${uid}`, 'run doctor as the service’s user')]
}

function found(path: string, looked: Looked, bytes: number, log: number): readonly Item[] {
  const items: Item[] = []
  if (log > MAX_LOG_BYTES)
    items.push(
      warning(
        `the log beside ${path} has grown to ${formatBytes(log)}`,
        'something has read the database for hours (a backup, another program): end that; a restart shrinks the log',
      ),
    )
  if (looked.is === 'large')
    return [
      ...items,
      ok(`${path} (${formatBytes(bytes)}) is too large to be checked in ${INSPECT_TIMEOUT_MS / 1000} s`),
    ]
  const { problems, version, journal } = looked.inspection
  if (problems.length > 0)
    items.push(problem(`${path} is damaged: ${problems.join('; ')}`, 'stop the service, and `restore` a backup'))
  if (version !== INBOX_VERSION)
    items.push(
      version > INBOX_VERSION
        ? problem(
            `${path} has schema version ${version}, and this version knows ${INBOX_VERSION}`,
            'run the newer version',
          )
        : warning(
            `${path} has schema version ${version} of ${INBOX_VERSION}`,
            'start the service of this version, which migrates it',
          ),
    )
  if (journal !== 'wal') items.push(problem(`${path} has no write-ahead log (${journal})`, 'use a local disk'))
  if (items.length > 0) return items
  return [
    ok(`${path} is whole (${formatBytes(bytes)}, log ${formatBytes(log)}), and every commit is synced to its disk`),
  ]
}
