import type { Socket } from 'node:net'
import type { Connections } from './connections.ts'
import { peerOfSocket } from './peer.ts'
import { BAD_REQUEST, HEADERS_TOO_LARGE, isClosing, type Reply, TIMEOUT, TOO_LARGE, writeAndClose } from './replies.ts'

type Answer = { readonly reply: Reply; readonly reason: string }

const MALFORMED: Answer = { reply: BAD_REQUEST, reason: 'bad_request' }
/** The parser's codes with an answer of their own. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  HPE_HEADER_OVERFLOW: { reply: HEADERS_TOO_LARGE, reason: 'headers_too_large' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { reply: TOO_LARGE, reason: 'too_large' },
  ERR_HTTP_REQUEST_TIMEOUT: { reply: TIMEOUT, reason: 'timeout' },
}

/**
 * The listener for the server's `clientError`: a request that could not be parsed, or did not arrive in time, is
 * answered in JSON while the connection is writable; then the connection is destroyed.
 */
export function createParserErrors(
  connections: Pick<Connections, 'latest'>,
  refused: (status: number, reason: string, peer: string, code: string) => void,
) {
  return (error: NodeJS.ErrnoException, stream: NodeJS.WritableStream): void => {
    const socket = stream as Socket
    const code = error.code ?? ''
    // The end of a connection that is already closing.
    if (socket.destroyed || isClosing(socket)) return
    if (!isAboutARequest(code, socket)) return void socket.destroy()
    const last = connections.latest(socket)
    if (last?.writableFinished === false) {
      // Only the body of the request that awaits its answer can be at fault, unless the answer is already being sent.
      if (last.headersSent) return void socket.destroy()
      // The client disconnected; the body reader reports that.
      if (code === 'HPE_INVALID_EOF_STATE') return void socket.destroy()
    } else if (last?.req.complete === false) {
      // The rest of a request that has been answered.
      return void socket.destroy()
    }
    const { reply, reason } = ANSWERS[code] ?? MALFORMED
    refused(reply.status, reason, peerOfSocket(socket), code)
    writeAndClose(socket, reply)
  }
}

/**
 * False for a broken connection, and for one that was opened and never used, as by load balancers that check the port.
 */
function isAboutARequest(code: string, socket: Socket): boolean {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return socket.bytesRead > 0
  return code.startsWith('HPE_')
}
