import { EventEmitter } from 'node:events'
import type { EventBus, Events } from '../telemetry/events.ts'

/** The names of all events: a new event does not compile without its name here. */
const NAMES: Readonly<Record<keyof Events, true>> = {
  delivery: true,
  refused: true,
  keyProbed: true,
  started: true,
  settled: true,
  sideFiles: true,
  claimLost: true,
  failing: true,
  paused: true,
  resumed: true,
  degraded: true,
  recovered: true,
  missed: true,
  missedWebhooks: true,
  longStop: true,
  action: true,
  slowed: true,
  committed: true,
  read: true,
}

/**
 * The same events for listeners of an app. An error that a listener throws, synchronously or in a promise, is passed to
 * `onThrown`; it neither refuses a delivery nor fails a job.
 */
export function createOwnEvents(events: EventBus, onThrown: (error: unknown) => void): EventBus {
  const own = new EventEmitter<Events>({ captureRejections: true })
  // An app may wait for many jobs at once; Node warns of the eleventh listener.
  own.setMaxListeners(0)
  Object.assign(own, { [Symbol.for('nodejs.rejection')]: onThrown })
  const emit = own.emit.bind(own) as (name: string, ...args: readonly unknown[]) => boolean
  for (const name of Object.keys(NAMES) as (keyof Events)[])
    events.on(name, (...args: readonly unknown[]) => {
      try {
        emit(name, ...args)
      } catch (error) {
        onThrown(error)
      }
    })
  return own
}
