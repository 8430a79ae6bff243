import { onTestFinished } from 'vitest'
import { type AppDeps, createApp } from '../../src/http/app.ts'
import { type Limits, type Listening, listen } from '../../src/http/server.ts'
import type { Receipt } from '../../src/inbox/inbox.ts'
import { createReceiver } from '../../src/receive/receive.ts'
import { newSecret } from '../../src/signing.ts'
import { createEvents, type Events } from '../../src/telemetry/events.ts'
import { createManualClock } from '../support/manual-clock.ts'

export type Refused = Events['refused'][0]

export type Edge = {
  readonly server: Listening
  readonly port: number
  readonly secret: string
  /** Every refusal so far. */
  readonly refused: Refused[]
  /** Every delivery that reached the inbox; each waits for `answer`. */
  readonly accepted: { readonly svixId: string; answer(): void }[]
  /** Resolves when so many deliveries have reached the inbox. */
  reached(count: number): Promise<void>
}

export type EdgeOptions = {
  readonly limits?: Partial<Limits>
  readonly app?: Partial<AppDeps>
  /** Deliveries are answered when the test says so, rather than at once. */
  readonly held?: boolean
}

const RECEIPT: Receipt = { duplicate: false, requeued: false, job: 'queued' }

/** The edge alone: server, routes and receiver on an inbox that records nothing. Stopped with the test. */
export async function startEdge(options: EdgeOptions = {}): Promise<Edge> {
  const events = createEvents()
  const secret = newSecret()
  const refused: Refused[] = []
  const accepted: { svixId: string; answer(): void }[] = []
  const watchers: { count: number; resolve(): void }[] = []
  events.on('refused', (refusal) => refused.push(refusal))
  const receiver = createReceiver({
    endpoints: new Map([['default', [secret]]]),
    directToken: null,
    inbox: {
      accept({ svixId }) {
        const { promise, resolve } = Promise.withResolvers<Receipt>()
        accepted.push({ svixId, answer: () => resolve(RECEIPT) })
        if (!options.held) resolve(RECEIPT)
        for (const watcher of watchers) if (accepted.length >= watcher.count) watcher.resolve()
        return promise
      },
    },
    clock: createManualClock(),
    events,
  })
  const app = createApp({
    receiver: () => receiver,
    health: () => ({ notReady: [], degraded: [] }),
    events,
    ...options.app,
  })
  const server = await listen(app, '127.0.0.1', 0, events, options.limits)
  onTestFinished(() => server.close(0))
  return {
    server,
    port: server.port,
    secret,
    refused,
    accepted,
    reached(count) {
      if (accepted.length >= count) return Promise.resolve()
      return new Promise((resolve) => watchers.push({ count, resolve }))
    },
  }
}
