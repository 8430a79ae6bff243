import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import S3rver from '@20minutes/s3rver'
import { afterAll, beforeAll } from 'vitest'

/** The credentials that the server knows. */
const KEY = 'S3RVER'

/**
 * A real S3-compatible server with an empty bucket `results`, for all tests of a file. It takes the path of a bucket itself
 * for another one than the AWS SDK signs, so only a `strict` one, which can list nothing, checks signatures.
 */
export function testS3({ strict = false } = {}): { readonly endpoint: string } {
  const directory = mkdtempSync(join(tmpdir(), 'receiver-test-'))
  const server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    allowMismatchedSignatures: !strict,
    configureBuckets: [{ name: 'results' }],
  })
  const running = { endpoint: '' }

  beforeAll(async () => {
    running.endpoint = `http://127.0.0.1:${(await server.run()).port}`
    process.env.AWS_ACCESS_KEY_ID = KEY
    process.env.AWS_SECRET_ACCESS_KEY = KEY
  })
  afterAll(async () => {
    await server.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return running
}
