import { request as httpRequest } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { newMessageId, newSecret, sign, signatureHeaders } from '../signing.ts'

/**
 * A simulated Svix: signs with the real library and delivers over real sockets, at least once and in no guaranteed
 * order, on Svix's own retry schedule, which can run faster.
 */
export type Svix = {
  addEndpoint(endpoint: { url: string; secret?: string; channels?: readonly string[] }): Endpoint
  /** Sends a message to every endpoint that subscribes to one of its channels. Returns its id at once. */
  send(payload: unknown, options?: { channels?: readonly string[]; id?: string; prefix?: 'svix' | 'webhook' }): string
  /** The test message of the dashboard. */
  ping(): string
  /** The dashboard's *Resend*: the same id and body with a new signature, even if it was delivered. */
  resend(id: string): Promise<readonly Attempt[]>
  /** Sends `copies` of one message at once, over as many connections as needed. */
  burst(id: string, copies: number): Promise<readonly Attempt[]>
  /** Every attempt so far, of one message or of all. */
  attempts(id?: string): readonly Attempt[]
  /** Resolves when no delivery is running or scheduled. */
  settled(): Promise<void>
  /** Cancels all scheduled deliveries. */
  stop(): Promise<void>
}

type Endpoint = {
  readonly url: string
  /** Newest first. Older secrets still sign until `endOverlap`. */
  readonly secrets: string[]
  /** Adds a new secret; the old one continues to sign. */
  rotate(): string
  endOverlap(): void
  /** Svix disables an endpoint after days of failures. */
  disabled: boolean
}

type Attempt = {
  readonly id: string
  /** The body that was sent. */
  readonly payload: string
  readonly url: string
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number
  readonly body: string
  readonly ms: number
}

/** Seconds after the previous attempt: eight attempts over 27 h 35 min. */
export const SCHEDULE = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000] as const
/** How long Svix waits for an answer, ms. */
const TIMEOUT = 15_000
/** Five days of failed deliveries, s. */
const DISABLED_AFTER = 5 * 86_400

type Message = {
  readonly id: string
  readonly body: string
  readonly channels: readonly string[]
  readonly prefix: 'svix' | 'webhook'
}
type Target = Endpoint & { readonly channels: readonly string[] | null; failingSince: number | null }

/** `speed`: how many times faster than real time the schedule runs. */
export function createSvix(options: { speed?: number } = {}): Svix {
  const speed = options.speed ?? 1
  const targets: Target[] = []
  const messages = new Map<string, Message>()
  const log: Attempt[] = []
  const stopping = new AbortController()
  const underWay = new Set<Promise<unknown>>()

  function track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => underWay.delete(tracked))
    underWay.add(tracked)
    return tracked
  }

  async function attempt(message: Message, target: Target): Promise<Attempt> {
    const signed = sign(message.id, new Date(), message.body, target.secrets)
    const began = performance.now()
    const answer = await post(target.url, signatureHeaders(signed, message.prefix), message.body)
    const made = { id: message.id, payload: message.body, url: target.url, ...answer, ms: performance.now() - began }
    log.push(made)
    noteHealth(target, succeeded(made))
    return made
  }

  function noteHealth(target: Target, success: boolean): void {
    const now = performance.now()
    target.failingSince = success ? null : (target.failingSince ?? now)
    if (target.failingSince !== null && ((now - target.failingSince) * speed) / 1000 >= DISABLED_AFTER)
      target.disabled = true
  }

  async function deliver(message: Message, target: Target): Promise<void> {
    for (const seconds of SCHEDULE) {
      // ±20 %, as Svix does, so that retries of many messages spread.
      const pause = ((seconds * 1000) / speed) * (0.8 + 0.4 * Math.random())
      await delay(pause, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted || target.disabled) return
      if (succeeded(await attempt(message, target))) return
    }
  }

  function listeners(message: Message): Target[] {
    return targets.filter(
      ({ channels, disabled }) =>
        !disabled &&
        (channels === null ||
          message.channels.length === 0 ||
          channels.some((name) => message.channels.includes(name))),
    )
  }

  function known(id: string): Message {
    const message = messages.get(id)
    if (!message) throw new Error(`no message ${id}`)
    return message
  }

  function send(payload: unknown, sendOptions: Parameters<Svix['send']>[1] = {}): string {
    const id = sendOptions.id ?? newMessageId()
    const body = typeof payload === 'string' ? payload : JSON.stringify(payload)
    const message = { id, body, channels: sendOptions.channels ?? [], prefix: sendOptions.prefix ?? 'svix' }
    messages.set(id, message)
    for (const target of listeners(message)) void track(deliver(message, target))
    return id
  }

  return {
    addEndpoint({ url, secret, channels }) {
      const target: Target = {
        url,
        channels: channels ?? null,
        secrets: [secret ?? newSecret()],
        disabled: false,
        failingSince: null,
        rotate() {
          target.secrets.unshift(newSecret())
          return target.secrets[0]!
        },
        endOverlap: () => void target.secrets.splice(1),
      }
      targets.push(target)
      return target
    },
    send,
    ping: () => send({ success: true }),
    resend(id) {
      const message = known(id)
      return track(Promise.all(listeners(message).map((target) => attempt(message, target))))
    },
    burst(id, copies) {
      const message = known(id)
      const target = listeners(message)[0]
      if (!target) throw new Error('no endpoint listens to this message')
      return track(Promise.all(Array.from({ length: copies }, () => attempt(message, target))))
    },
    attempts: (id) => log.filter((made) => id === undefined || made.id === id),
    async settled() {
      while (underWay.size > 0) await Promise.allSettled(underWay)
    },
    async stop() {
      stopping.abort()
      while (underWay.size > 0) await Promise.allSettled(underWay)
    },
  }
}

function succeeded({ status }: Attempt): boolean {
  return status >= 200 && status < 300
}

function post(url: string, headers: Record<string, string>, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve) => {
    const failed = (error: Error) => resolve({ status: 0, body: error.message })
    const request = httpRequest(
      url,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'Svix-Webhooks/1.0 (simulated)', ...headers },
        signal: AbortSignal.timeout(TIMEOUT),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }))
        response.on('error', failed)
      },
    )
    request.on('error', failed)
    request.end(body)
  })
}
