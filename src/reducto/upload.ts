import { openAsBlob } from 'node:fs'
import { basename } from 'node:path'
import { causesOf } from '../causes.ts'
import { memberOf } from '../error-text.ts'
import type { Client } from './client.ts'
import { ReductoError, readError } from './errors.ts'

/**
 * Uploads a file, read while it is sent. Resolves to its `reducto://` name.
 * @throws ReductoError also when the file cannot be read, or changes meanwhile
 */
export async function uploadFile(client: Client, path: string, signal: AbortSignal): Promise<string> {
  try {
    const file = new File([await open(path)], basename(path))
    const answer = await client.call(signal, async (callSignal) => client.sdk.upload({ file }, { signal: callSignal }))
    const id: unknown = (answer as { file_id?: unknown } | null)?.file_id
    if (typeof id === 'string' && id.startsWith('reducto://')) return id
    throw new ReductoError('unreadable', 'Reducto’s answer to the upload names no file')
  } catch (error) {
    // The SDK takes it for a failed connection.
    if (causesOf(error).some((cause) => memberOf(cause, 'name') === 'NotReadableError'))
      throw new ReductoError('failed', 'the file could not be read, or changed while it was sent')
    throw readError(error, Date.now())
  }
}

async function open(path: string): Promise<Blob> {
  // It throws at once for a file that is not there.
  const blob = await Promise.try(() => openAsBlob(path)).catch(() => null)
  if (blob === null) throw new ReductoError('failed', 'the file is not there any more, or cannot be read')
  if (blob.size === 0) throw new ReductoError('failed', 'the file is empty')
  return blob
}
