import { connect, type Socket } from 'node:net'

/** What a connection received until it was closed, and how it ended. */
type Ended = { readonly answer: string; readonly wasReset: boolean }

/**
 * A client that writes bytes as they are. With `stays` it keeps its side open when the server has closed its own, and
 * goes on sending, until the connection is destroyed: else it would not notice.
 */
export type RawClient = {
  readonly socket: Socket
  readonly connected: Promise<void>
  readonly ended: Promise<Ended>
  write(bytes: string | Uint8Array): void
  /** Resolves when the received bytes match. */
  received(what: RegExp): Promise<string>
  /** Resolves when so many answers have come, each to its end. */
  receivedAnswers(count: number): Promise<string>
}

export function openRaw(port: number, options: { stays?: boolean } = {}): RawClient {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: options.stays ?? false })
  let answer = ''
  let wasReset = false
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1')
  })
  socket.on('error', () => {
    wasReset = true
  })
  if (options.stays)
    socket.once('end', () => {
      const sending = setInterval(() => socket.write('x'), 10)
      socket.once('close', () => clearInterval(sending))
    })
  function until(isThere: () => boolean): Promise<string> {
    return new Promise((resolve) => {
      const look = () => {
        if (!isThere()) return
        socket.off('data', look)
        resolve(answer)
      }
      socket.on('data', look)
      look()
    })
  }
  return {
    socket,
    connected: new Promise((resolve) => socket.once('connect', () => resolve())),
    ended: new Promise((resolve) => socket.once('close', () => resolve({ answer, wasReset }))),
    write: (bytes) => void socket.write(bytes),
    received: (what) => until(() => what.test(answer)),
    receivedAnswers: (count) => until(() => answer.endsWith('}') && answer.split('HTTP/1.1 ').length > count),
  }
}

/** Sends bytes and returns what came until the server closed the connection. */
export async function exchangeRaw(port: number, bytes: string | Uint8Array): Promise<string> {
  const client = openRaw(port)
  client.write(bytes)
  return (await client.ended).answer
}

/** The head of a request with a Host. */
export function head(target: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return `${[`${method} ${target} HTTP/1.1`, 'host: localhost', ...lines].join('\r\n')}\r\n\r\n`
}
