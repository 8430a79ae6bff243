import { workerData } from 'node:worker_threads'
import { copyInbox } from '../inbox/open.ts'

/** What `backup` runs beside its own thread: SQLite copies in one call, during which no signal would be heard. */

const { source, target } = workerData as { readonly source: string; readonly target: string }

copyInbox({ kind: 'sqlite', path: source }, target)
