import { readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Webhook } from 'svix'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { spawnReceiver } from '../support/process.ts'
import { tempFolder } from '../support/temp.ts'

/** `receiver handle`, as an author uses it while writing a handler. */

function handlerOf(source: string): { folder: string; file: string; temporary: string } {
  const folder = tempFolder()
  const file = join(folder, 'handler.mjs')
  writeFileSync(file, source)
  return { folder, file, temporary: tempFolder() }
}

const BLOCK = 'for (;;);'

describe('a handler that blocks for ever', () => {
  it.each([
    ['in its call', `export default () => { ${BLOCK} }`, 'the handler blocked its thread for longer than 1 s'],
    ['after an await', `export default async () => { await null; ${BLOCK} }`, 'the handler blocked its thread'],
    ['while it is loaded', BLOCK, 'handler.mjs blocked while it was loaded for longer than 1 s'],
  ])('%s ends with a sentence, exit 1, and leaves nothing', async (_name, source, sentence) => {
    const { folder, file, temporary } = handlerOf(source)
    const receiver = spawnReceiver(['handle', file], { TMPDIR: temporary, HANDLER_TIMEOUT: '1s' }, folder)
    expect(await receiver.exited).toBe(1)
    expect(receiver.output()).toContain(sentence)
    expect(readdirSync(temporary)).toEqual([])
  })

  it('lets Ctrl-C end it', async () => {
    const { folder, file, temporary } = handlerOf(
      `export default async (_, { log }) => { log.info('called'); await new Promise((go) => setTimeout(go, 700)); log.info('blocks'); ${BLOCK} }`,
    )
    const receiver = spawnReceiver(['handle', file], { TMPDIR: temporary, HANDLER_TIMEOUT: '60s' }, folder)
    await receiver.line((line) => line.msg === 'called')
    await receiver.end('SIGINT')
    expect(receiver.child.signalCode).toBe('SIGINT')
    expect(readdirSync(temporary)).toEqual([])
  })
})

describe('handle', () => {
  it('tells what is thrown outside of the call', async () => {
    const { folder, file } = handlerOf(
      `export default () => new Promise(() => { setTimeout(() => { throw new Error('too late') }, 1) })`,
    )
    const receiver = spawnReceiver(['handle', file], {}, folder)
    expect(await receiver.exited).toBe(1)
    expect(receiver.output()).toContain('threw outside of the call: too late')
  })

  it.each([
    [['--print', 'extracted', '--sample', 'extract-v3'], /^\{"[\s\S]*\}\n$/],
    [['--print', 'chunks', '--sample', 'parse-url'], /^\{"content":/],
    [['--print', 'record', '--sample', 'failed'], /"status":"Failed"/],
  ])('%j prints what a handler gets, without one', async (args, expected) => {
    const receiver = spawnReceiver(['handle', ...args], {}, tempFolder())
    expect(await receiver.exited, receiver.output()).toBe(0)
    expect(receiver.output()).toMatch(expected)
  })

  it('says when there is no such part', async () => {
    const receiver = spawnReceiver(['handle', '--print', 'extracted', '--sample', 'parse'], {}, tempFolder())
    expect(await receiver.exited).toBe(1)
    expect(receiver.output()).toMatch(/extracted/)
    expect(receiver.output()).not.toMatch(/ {4}at /)
  })

  it('calls it again after each change with --watch, until Ctrl-C', async () => {
    const { folder, file, temporary } = handlerOf(`export default (_, { log }) => log.info('first')`)
    const receiver = spawnReceiver(['handle', file, '--watch'], { TMPDIR: temporary }, folder)
    await vi.waitFor(() => expect(receiver.output()).toContain('Waits for a change'), { timeout: 20_000 })
    writeFileSync(file, `export default () => { throw new Error('second') }`)
    await receiver.line((line) => line.msg === 'handler failed')
    await vi.waitFor(() => expect(receiver.output().match(/Waits for a change/g)).toHaveLength(2), { timeout: 20_000 })
    expect(receiver.output()).toMatch(
      /taken \(\d+ ms\)[\s\S]*handler\.mjs has changed[\s\S]*would be tried again: second/,
    )
    await receiver.end('SIGINT')
    expect(receiver.child.signalCode).toBe('SIGINT')
    expect(readdirSync(temporary)).toEqual([])
  })

  it('posts the record with --forward, signed, with links that work', async () => {
    const secret = newSecret()
    const got = Promise.withResolvers<{ record: unknown; job: unknown }>()
    const server = createServer(async (request, response) => {
      const body = (await Array.fromAsync(request)).join('')
      try {
        new Webhook(secret).verify(body, request.headers as Record<string, string>)
        const record = JSON.parse(body)
        const { url } = record.job
        got.resolve({ record, job: await (await fetch(url)).json() })
        response.writeHead(204).end()
      } catch (error) {
        got.reject(error)
        response.writeHead(500).end()
      }
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
    const receiver = spawnReceiver(['handle', '--forward', url], { FORWARD_SECRET: secret }, tempFolder())
    expect(await receiver.exited, receiver.output()).toBe(0)
    expect(receiver.output()).toMatch(/^Extract \S+: taken/)
    expect(await got.promise).toMatchObject({ record: { type: 'Extract' }, job: { status: 'Completed' } })
    server.close()
    server.closeAllConnections()
    const down = spawnReceiver(['handle', '--forward', url], {}, tempFolder())
    expect(await down.exited).toBe(1)
    expect(down.output()).toMatch(
      /FORWARD_SECRET is not set; signed with whsec_[\s\S]*FORWARD_URL cannot be reached: ECONNREFUSED/,
    )
  })

  it.each([
    [[], 'handle takes one argument, the file with the handler'],
    [['x.ts', '--forward', 'http://127.0.0.1:9'], 'either a file or --forward'],
    [['--print', 'record', '--watch'], '--watch takes the file'],
    [['x.ts', '--print', 'novel'], '--print takes one of extracted, chunks, record'],
    [['x.ts', '--job', '../x'], '../x is no job id'],
  ])('%j is wrong use', async (args, told) => {
    const receiver = spawnReceiver(['handle', ...args], {}, tempFolder())
    expect(await receiver.exited).toBe(2)
    expect(receiver.output()).toContain(told)
  })
})
