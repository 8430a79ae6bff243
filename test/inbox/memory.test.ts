import { openMemory } from '../../src/inbox/memory/inbox.ts'
import { createMemory, type Memory } from '../../src/inbox/memory/memory.ts'
import { inboxContract } from './contract.ts'

const kept = new Map<string, Memory>()

inboxContract('memory', async ({ place, clock }) => {
  const memory = kept.get(place) ?? createMemory()
  kept.set(place, memory)
  return openMemory({ clock, memory })
})
