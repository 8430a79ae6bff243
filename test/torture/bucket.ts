import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import S3rver from '@20minutes/s3rver'

/** The credentials that the server knows. */
const KEY = 'S3RVER'
/** What the server appends to the names of objects on its disk. */
const OBJECT = '._S3rver_object'

/** An S3-compatible server that outlives the service, with one bucket. */
export async function startBucket(folder: string) {
  const directory = join(folder, 's3')
  mkdirSync(directory)
  const server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    // It takes the path of a bucket itself for another one than the AWS SDK signs.
    allowMismatchedSignatures: true,
    configureBuckets: [{ name: 'results' }],
  })
  const { port } = await server.run()
  return {
    env: {
      RESULTS_URL: `s3://results/torture?region=us-east-1&endpoint=http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: KEY,
      AWS_SECRET_ACCESS_KEY: KEY,
    },
    fileOf: (jobId: string, path: string) => `${join(directory, 'results', 'torture', jobId, path)}${OBJECT}`,
    stop: () => server.close(),
  }
}
