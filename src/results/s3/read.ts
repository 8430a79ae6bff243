import type { Readable } from 'node:stream'
import { untilAborted } from '../abort.ts'
import { S3Unavailable } from './errors.ts'

/** Reads a whole body as text. */
export async function readAll({ body }: { readonly body: Readable }, signal: AbortSignal): Promise<string> {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of untilAborted<Uint8Array>(body, signal)) chunks.push(chunk)
  } catch (error) {
    signal.throwIfAborted()
    throw new S3Unavailable(error, 'reading an object')
  } finally {
    body.destroy()
  }
  return Buffer.concat(chunks).toString('utf8')
}
