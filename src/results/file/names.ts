import { randomBytes } from 'node:crypto'
import { isJobId } from '../../job.ts'

/** What lies in the folder for drafts: drafts, results that are being replaced, and results on their way out. */
export type Entry = {
  readonly kind: 'draft' | 'replaced' | 'removed'
  readonly jobId: string
  /** The claim's; 0 for what is no draft. */
  readonly token: number
  /** Whose it is; empty for one of a version that did not say. */
  readonly owner: string
}

const NAME = /^([\w-]+)\.(?:(\d{1,16})|(replaced|removed))(?:-([0-9a-f]{16})-[0-9a-f]{16})?$/

/** A name of its own for an entry: of two services whose claims have equal tokens, none meets the other. */
export function nameOf({ kind, jobId, token, owner }: Entry): string {
  return `${jobId}.${kind === 'draft' ? token : kind}-${owner}-${randomBytes(8).toString('hex')}`
}

/** What a name tells; null for what this service did not make. */
export function parseName(name: string): Entry | null {
  const [, jobId, token, kind, owner = ''] = NAME.exec(name) ?? []
  if (!isJobId(jobId)) return null
  return { kind: (kind as Entry['kind'] | undefined) ?? 'draft', jobId, token: Number(token ?? 0), owner }
}
