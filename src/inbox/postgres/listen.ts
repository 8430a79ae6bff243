import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { connect, discard, type PostgresPlace, SCHEMA } from './connect.ts'

/**
 * Hears of other replicas' commits. A pooler in transaction mode accepts LISTEN and delivers nothing: the listener therefore
 * tells itself something, at start and every minute, and says when it hears nothing.
 */
export type Listener = {
  /** Notifications arrive. */
  readonly isHearing: boolean
  close(): Promise<void>
}

const TEST_EVERY_MS = 60_000
/** What the listener tells itself must be heard within this time, ms. */
const MAX_SILENCE_MS = 5_000
const RECONNECT_AFTER_MS = 1_000

export function startListener(options: {
  readonly place: PostgresPlace
  /** Somebody has committed something. `from`: the number of the replica. */
  readonly onNews: (from: number) => void
  /** LISTEN was accepted, and nothing is heard. Called once. */
  readonly onSilence: () => void
}): Listener {
  const channel = channelOf(options.place)
  let client: pg.Client | null = null
  let isHearing = false
  let wasSilent = false
  let isClosed = false
  let awaited: { readonly text: string; heard(): void } | null = null
  const closing = Promise.withResolvers<void>()

  function note(hears: boolean): void {
    isHearing = hears
    if (hears || wasSilent || isClosed) return
    wasSilent = true
    options.onSilence()
  }

  function hear(payload: string): void {
    if (awaited?.text === payload) return awaited.heard()
    const from = Number(payload)
    if (Number.isSafeInteger(from)) options.onNews(from)
  }

  async function listen(): Promise<void> {
    const one = await connect({ ...options.place, name: 'listen' })
    if (isClosed) return discard(one)
    client = one
    const broken = new Promise<void>((resolve) => {
      one.once('error', () => resolve())
      one.once('end', () => resolve())
    })
    one.on('notification', ({ payload }) => hear(payload ?? ''))
    await one.query(`LISTEN "${channel}"`)
    while (!isClosed) {
      note(await hearsItself(one))
      const isBroken = await Promise.race([broken.then(() => true), closing.promise, pause(TEST_EVERY_MS)])
      if (isBroken) break
    }
    discard(one)
  }

  async function hearsItself(one: pg.Client): Promise<boolean> {
    const heard = Promise.withResolvers<true>()
    awaited = { text: randomUUID(), heard: () => heard.resolve(true) }
    await one.query('SELECT pg_notify($1, $2)', [channel, awaited.text])
    return (await Promise.race([heard.promise, closing.promise, pause(MAX_SILENCE_MS)])) === true
  }

  async function loop(): Promise<void> {
    while (!isClosed) {
      await listen().catch(() => {})
      isHearing = false
      await Promise.race([closing.promise, pause(RECONNECT_AFTER_MS)])
    }
  }

  const looping = loop()
  return {
    get isHearing() {
      return isHearing
    },
    async close() {
      isClosed = true
      closing.resolve()
      if (client) discard(client)
      await looping
    },
  }
}

/** Names are cut after 63 bytes. */
export function channelOf({ schema }: PostgresPlace): string {
  return (schema ?? SCHEMA).slice(0, 63)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
