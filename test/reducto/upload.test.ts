import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createClient } from '../../src/reducto/client.ts'
import { submissionOf } from '../../src/reducto/submit.ts'
import { uploadFile } from '../../src/reducto/upload.ts'
import { listening } from '../doctor/proxy.ts'
import { tempFolder } from '../support/temp.ts'

const { signal } = new AbortController()

it.each([
  ['is empty', (path: string) => writeFileSync(path, ''), 'the file is empty'],
  ['is gone', (path: string) => rmSync(path), 'is not there any more'],
])('a file that %s is named as that, not as trouble with Reducto', async (_, change, message) => {
  const path = join(tempFolder(), 'a.pdf')
  writeFileSync(path, 'x')
  change(path)
  const client = createClient({ apiKey: 'key', baseUrl: 'http://127.0.0.1:1' })
  await expect(uploadFile(client, path, signal)).rejects.toThrow(message)
})

it('a file that changes while it is sent is named as that', async () => {
  const path = join(tempFolder(), 'a.pdf')
  writeFileSync(path, Buffer.alloc(30_000_000))
  const server = createServer((request) => {
    request.once('data', () => {
      request.pause()
      writeFileSync(path, 'other')
      request.resume()
    })
    request.on('error', () => {})
  })
  const client = createClient({ apiKey: 'key', baseUrl: `http://127.0.0.1:${await listening(server)}` })
  await expect(uploadFile(client, path, signal)).rejects.toThrow('changed while it was sent')
})

it('the address of a direct webhook in the options goes to no Svix', () => {
  const options = {
    async: { webhook: { mode: 'direct', url: 'https://example.com', channels: ['a'] }, priority: true },
  }
  expect(submissionOf('parse', 'x', { channels: [], metadata: undefined, options })).toEqual({
    input: 'x',
    async: { priority: true, webhook: { mode: 'svix', channels: ['a'] } },
  })
})
