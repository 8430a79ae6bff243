import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { spawnReceiver } from '../support/process.ts'
import { startBytes } from './proxy.ts'
import { expectCause, problemsOf, type Running, startService } from './support.ts'

/** Whatever answers at the public URL: doctor ends in time, with its cause, and shows nothing of it that could harm. */

/** Writes for ever, at the pace of the reader. */
function endlessly(socket: Socket, head: string, piece: string): void {
  socket.write(head)
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on('drain', more)
  more()
}

const PAGE = '<html><script>alert(1)</script>\u001b[2J'
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n'

type Hostile = readonly [what: string, onConnection: (socket: Socket) => void, words: RegExp]

const SERVERS: readonly Hostile[] = [
  ['hangs', () => {}, /no answer within 3 s/],
  ['hangs in the middle of its head', (socket) => void socket.write('HTTP/1.1 405 Method'), /no answer within 3 s/],
  [
    'hangs in the middle of its body',
    (socket) => void socket.write(`${HEAD}content-length: 9\r\n\r\nx`),
    /no answer within 3 s/,
  ],
  ['answers without end', (socket) => endlessly(socket, `${HEAD}\r\n`, 'x'.repeat(65_536)), /something else answers/],
  [
    'answers with a page of 10 MB',
    (socket) => void socket.end(`${HEAD}content-length: 10000000\r\n\r\n${PAGE.padEnd(10_000_000)}`),
    /something else answers/,
  ],
  [
    'sends headers without end',
    (socket) => endlessly(socket, HEAD, `x: ${'y'.repeat(1_000)}\r\n`),
    /HPE_HEADER_OVERFLOW|Header overflow/,
  ],
  [
    'sends 100 Continue without end',
    (socket) => endlessly(socket, '', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)),
    /no answer within 3 s|HPE_/,
  ],
  ['speaks something else', (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'), /HPE_|HTTP/],
  ['speaks TLS', (socket) => void socket.end(Buffer.from([0x15, 3, 1, 0, 2, 2, 70])), /HPE_|HTTP/],
  [
    'switches protocols',
    (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    /without an answer/,
  ],
  ['hangs up', (socket) => void socket.destroy(), /ECONNRESET|hang up/],
  [
    'has a length that is none',
    (socket) => void socket.end(`${HEAD}content-length: -1\r\n\r\n`),
    /HPE_|Content-Length/i,
  ],
  ['has a status that is none', (socket) => void socket.end('HTTP/1.1 999999 ?\r\n\r\n'), /HPE_|status|999/],
  [
    'redirects to what is no URL',
    (socket) => void socket.end('HTTP/1.1 302 Found\r\nlocation: http://[\u001b]/%%%\r\ncontent-length: 0\r\n\r\n'),
    /302|HPE_/,
  ],
]

/** So many at once. */
const PARALLEL = 5

describe('a public URL', () => {
  it('that hangs, floods or speaks something else is told as that, in time', async () => {
    const on = await startService()
    const waiting = [...SERVERS]
    async function next(): Promise<void> {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await meet(on, one)
    }
    await Promise.all(Array.from({ length: PARALLEL }, next))
  }, 180_000)

  async function meet(on: Running, [what, onConnection, words]: Hostile): Promise<void> {
    const url = await startBytes(onConnection)
    const began = performance.now()
    const report = await on.hastyDoctor({ PUBLIC_URL: url })
    expect([what, problemsOf(report)]).toEqual([what, problemsOf(report).filter((one) => one.startsWith('answer: '))])
    expectCause(report, { answer: words })
    expect([what, performance.now() - began < 60_000]).toEqual([what, true])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect(JSON.stringify(report.checks)).not.toMatch(/\u001b|\\u001b|<script>/)
  }
})

describe('what doctor prints', () => {
  it('fits 80 columns, has a mark and a cure, and no secret', async () => {
    const on = await startService()
    const url = await startBytes((socket) => void socket.end(`HTTP/1.1 503 \r\n\r\n${on.env.SVIX_WEBHOOK_SECRET}`))
    const command = spawnReceiver(['doctor', '--url', `${url}/webhook/dev`], { ...on.env, NO_COLOR: '1' })
    expect(await command.exited).toBe(1)
    const stdout = command.output()
    expect(stdout).toMatch(/^On this machine\n✓ settings {5}all are well formed\n/)
    expect(stdout).toContain('\nFrom outside\n')
    expect(stdout).toMatch(/\n✗ answer .*\n(?: {15}.*\n)* {15}→ /)
    expect(stdout).toMatch(/\n\d+ problems?, \d+ warnings?\./)
    for (const line of stdout.split('\n')) expect([line, line.length <= 80]).toEqual([line, true])
    expect(stdout).not.toContain(on.env.SVIX_WEBHOOK_SECRET!.slice(6))
  })
})
