import { openAsBlob } from 'node:fs'
import { basename } from 'node:path'
import type { Client } from './client.ts'
import { ReductoError, readError } from './errors.ts'

/** Uploads a file, read while it is sent. Resolves to its `reducto://` name. @throws ReductoError */
export async function uploadFile(client: Client, path: string, signal: AbortSignal): Promise<string> {
  try {
    const file = new File([await openAsBlob(path)], basename(path))
    const answer = await client.call(signal, async (callSignal) => client.sdk.upload({ file }, { signal: callSignal }))
    const id: unknown = (answer as { file_id?: unknown } | null)?.file_id
    if (typeof id === 'string' && id.startsWith('reducto://')) return id
    throw new ReductoError('unreadable', 'Reducto’s answer to the upload names no file')
  } catch (error) {
    throw readError(error, Date.now())
  }
}
