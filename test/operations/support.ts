import type { Actor } from '../../src/actor.ts'
import { createEvents, type Events } from '../../src/telemetry/events.ts'

/** Somebody who does something, and what is told of it. */
export function acting(actor: Actor = { who: 'cli:ada', role: 'cli' }) {
  const events = createEvents()
  const told: Events['action'][0][] = []
  events.on('action', (action) => told.push(action))
  return { actor, events, told }
}
