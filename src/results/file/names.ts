import { randomBytes } from 'node:crypto'
import { isJobId } from '../../job.ts'

/**
 * The entries in the folder for drafts: drafts, results that are being replaced, and results that are being removed.
 */
export type Entry = {
  readonly kind: 'draft' | 'replaced' | 'removed'
  readonly jobId: string
  /** The claim's token; 0 for an entry that is not a draft. */
  readonly token: number
  /** The owner; empty for an entry of a version without owners. */
  readonly owner: string
}

const NAME = /^([\w-]+)\.(?:(\d{1,16})|(replaced|removed))(?:-([0-9a-f]{16})-[0-9a-f]{16})?$/

/** A unique name for an entry: entries of two services whose claims have equal tokens do not collide. */
export function nameOf({ kind, jobId, token, owner }: Entry): string {
  return `${jobId}.${kind === 'draft' ? token : kind}-${owner}-${randomBytes(8).toString('hex')}`
}

/** Parses a name; null for an entry that no service made. */
export function parseName(name: string): Entry | null {
  const [, jobId, token, kind, owner = ''] = NAME.exec(name) ?? []
  if (!isJobId(jobId)) return null
  return { kind: (kind as Entry['kind'] | undefined) ?? 'draft', jobId, token: Number(token ?? 0), owner }
}
