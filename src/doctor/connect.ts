import { promises as dns, type LookupAddress } from 'node:dns'
import { isIP, connect as overTcp, type Socket } from 'node:net'
import { connect as overTls, type PeerCertificate, type TLSSocket } from 'node:tls'
import { CallFailed, failureOf } from './call.ts'

/** Connections without a request: who is there, and with which certificate. */

/** A connection is made in this time or not at all, ms. */
const CONNECT_TIMEOUT_MS = 8_000

/** The host of a URL as it is connected to. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

export function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

/** All addresses of a host. @throws CallFailed */
export async function lookup(host: string, signal: AbortSignal): Promise<readonly LookupAddress[]> {
  if (isIP(host)) return [{ address: host, family: isIP(host) }]
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new CallFailed('EAI_AGAIN', 'no answer')), CONNECT_TIMEOUT_MS)
  const abort = () => late.reject(new CallFailed('AbortError', 'given up'))
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([dns.lookup(host, { all: true }), late.promise])
  } catch (error) {
    throw failureOf(error)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

/** Connects and hangs up. @throws CallFailed */
export async function reach(host: string, port: number, signal: AbortSignal): Promise<void> {
  const socket = overTcp({ host, port })
  await opened(socket, 'connect', signal)
}

/** `refusal`: why Node, and Svix, refuse the certificate; null when it is fine. */
export type Handshake = { readonly certificate: PeerCertificate; readonly refusal: string | null }

/**
 * The certificate of a host, also of one that is refused. `ca`: the authorities that are trusted; default: Node's.
 * @throws CallFailed
 */
export async function handshake(url: URL, signal: AbortSignal, ca?: readonly string[]): Promise<Handshake> {
  const host = hostOf(url)
  const name = isIP(host) ? {} : { servername: host }
  const trusted = ca ? { ca: [...ca] } : {}
  // Looked at, and nothing is sent.
  const socket = overTls({ host, port: portOf(url), rejectUnauthorized: false, ...name, ...trusted })
  let found: Handshake | null = null
  await opened(socket, 'secureConnect', signal, () => {
    const refusal = socket.authorized ? null : refusalOf(socket)
    found = { certificate: socket.getPeerCertificate(), refusal }
  })
  return found!
}

function refusalOf({ authorizationError }: TLSSocket): string {
  // Node's types say Error; it is the code, or an error with one.
  const error = authorizationError as unknown
  return typeof error === 'string' ? error : String((error as NodeJS.ErrnoException | null)?.code ?? 'CERT_UNTRUSTED')
}

async function opened(socket: Socket, event: string, signal: AbortSignal, then = () => {}): Promise<void> {
  const done = Promise.withResolvers<void>()
  const late = setTimeout(() => done.reject(new CallFailed('ETIMEDOUT', 'no connection in time')), CONNECT_TIMEOUT_MS)
  const abort = () => done.reject(new CallFailed('AbortError', 'given up'))
  signal.addEventListener('abort', abort, { once: true })
  socket.on('error', done.reject)
  socket.once('close', () => done.reject(new CallFailed('ECONNRESET', 'the connection was cut')))
  socket.once(event, () => done.resolve())
  try {
    await done.promise
    then()
  } catch (error) {
    throw failureOf(error)
  } finally {
    clearTimeout(late)
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}
