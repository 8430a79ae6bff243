import { createHash } from 'node:crypto'
import type { Kind } from './documents/documents.ts'

/** What the simulated Reducto reads of the calls that submit documents. */

export type Submission = Readonly<Record<string, unknown>>

export type Upload = { readonly name: string; readonly bytes: number; readonly sha256: string }

type Webhook = { readonly metadata?: unknown; readonly channels?: readonly string[] }

/** The metadata and channels of a submission: in `async`, for edit in `webhook`. */
export function readSubmission(
  kind: Kind,
  text: string,
):
  | { readonly body: Submission; readonly metadata: unknown; readonly channels: readonly string[] }
  | { readonly problem: string } {
  const body = JSON.parse(text) as Submission
  const document = kind === 'edit' ? 'document_url' : 'input'
  if (typeof body[document] !== 'string' || body[document] === '') return { problem: `${document}: field required` }
  if (kind === 'edit') {
    const { metadata = null, channels = [] } = (body.webhook ?? {}) as Webhook
    return { body, metadata, channels }
  }
  const { metadata = null, webhook } = (body.async ?? {}) as Webhook & { readonly webhook?: Webhook }
  return { body, metadata, channels: webhook?.channels ?? [] }
}

/** The file of a form; null when there is none. */
export async function readUpload(body: Buffer, contentType: string | undefined): Promise<Upload | null> {
  try {
    const headers = { 'content-type': contentType ?? '' }
    const file = (await new Response(new Uint8Array(body), { headers }).formData()).get('file')
    if (!(file instanceof File)) return null
    const bytes = Buffer.from(await file.arrayBuffer())
    return { name: file.name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
  } catch {
    return null
  }
}
