import pino from 'pino'
import { onTestFinished } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import { type Service, startService } from '../../src/compose.ts'
import type { Delivery, FreeSlots } from '../../src/inbox/inbox.ts'
import { createMemory, type Memory } from '../../src/inbox/memory/memory.ts'
import type { InboxPlace } from '../../src/inbox/open.ts'
import { type Config, loadConfig } from '../../src/settings/config.ts'
import { newMessageId, newSecret, sign, signatureHeaders } from '../../src/signing.ts'
import { type Reducto, type ReductoOptions, startReducto } from '../../src/simulator/reducto.ts'
import { simulatedSettings } from '../../src/simulator/settings.ts'
import { createEvents, type EventBus, type Events } from '../../src/telemetry/events.ts'
import { tempFolder } from './temp.ts'

export type TestService = Service & {
  readonly url: string
  readonly secret: string
  readonly reducto: Reducto
  readonly folder: string
}

export type TestServiceOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly clock?: Clock
  readonly events?: EventBus
  readonly reducto?: Reducto
  readonly simulator?: ReductoOptions
  readonly folder?: string
  /** What the inbox is kept in. In memory it outlives a stop too, for the next service on the same folder. */
  readonly store?: 'sqlite' | 'memory'
}

/** By the folder of their service. */
const memories = new Map<string, Memory>()

function inMemory(folder: string): InboxPlace {
  const memory = memories.get(folder) ?? createMemory()
  memories.set(folder, memory)
  return { kind: 'memory', memory }
}

/** A simulated Reducto, stopped with the test. */
export async function testReducto(options?: ReductoOptions): Promise<Reducto> {
  const reducto = await startReducto(options)
  onTestFinished(() => reducto.stop())
  return reducto
}

/** The settings of a service on a simulated Reducto. */
export function testEnv(folder: string, reducto: Reducto, secret: string): Record<string, string> {
  return { HOST: '127.0.0.1', PORT: '0', ...simulatedSettings(reducto, folder, secret) }
}

/** The whole service in this process, stopped with the test. */
export async function testService(options: TestServiceOptions = {}): Promise<TestService> {
  const folder = options.folder ?? tempFolder()
  const secret = options.env?.SVIX_WEBHOOK_SECRET ?? newSecret()
  const reducto = options.reducto ?? (await testReducto(options.simulator))
  const config = loadConfig({ ...testEnv(folder, reducto, secret), ...options.env })
  // No setting names a database in memory, so the type of the settings has none.
  const database = options.store === 'memory' ? (inMemory(folder) as unknown as Config['database']) : config.database
  const service = await startService({
    config: { ...config, database },
    log: pino({ level: 'silent' }),
    events: options.events ?? createEvents(),
    ...(options.clock ? { clock: options.clock } : {}),
  })
  onTestFinished(() => service.stop())
  return { ...service, url: `http://127.0.0.1:${service.port}`, secret, reducto, folder }
}

/** Resolves with the first event of this name that `matches`. */
export function event<K extends keyof Events>(
  bus: EventBus,
  name: K,
  matches: (value: Events[K][0]) => boolean = () => true,
): Promise<Events[K][0]> {
  return new Promise((resolve) => {
    const listener = (value: Events[K][0]) => {
      if (!matches(value)) return
      bus.off(name, listener as never)
      resolve(value)
    }
    bus.on(name, listener as never)
  })
}

/** Headers of a delivery signed now. */
export function signed(secret: string, body: string, id = newMessageId(), at = new Date()): Record<string, string> {
  return signatureHeaders(sign(id, at, body, [secret]))
}

/** What `receive` hands to the inbox for a job update. */
export function delivery(
  jobId: string,
  options: { status?: string; svixId?: string; endpoint?: string; at?: number; metadata?: unknown } = {},
): Delivery {
  const status = options.status ?? 'Completed'
  return {
    svixId: options.svixId ?? newMessageId(),
    endpoint: options.endpoint ?? 'default',
    receivedAt: options.at ?? Date.now(),
    body: JSON.stringify({ status, job_id: jobId, metadata: options.metadata ?? null }),
    content: { is: 'job', jobId, status },
  }
}

/** Room for so many jobs of a stage. */
export function freeSlots(limit: number): FreeSlots {
  return { limit, total: limit, newestFirst: false, isOtherOpen: true }
}
