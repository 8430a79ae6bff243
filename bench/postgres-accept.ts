import { randomUUID } from 'node:crypto'
import { systemClock } from '../src/clock.ts'
import type { Delivery, Inbox } from '../src/inbox/inbox.ts'
import { openInbox } from '../src/inbox/open.ts'
import { acceptBatch } from '../src/inbox/postgres/accept.ts'
import { createLane } from '../src/inbox/postgres/lane.ts'
import { databaseUrl } from '../src/settings/stores.ts'
import { messageId } from './load.ts'

/** Accepts for some seconds, in a process of its own, and prints how many a second: `groups` as the inbox does, or `single`. */

/** Deliveries under way at once. */
const IN_FLIGHT = 64

let sent = 0
export function benchDelivery(): Delivery {
  const jobId = randomUUID()
  return {
    ...{ svixId: messageId(Date.now(), sent++), endpoint: 'default', receivedAt: Date.now() },
    body: JSON.stringify({ status: 'Completed', job_id: jobId, metadata: { user: 'ada', file: 'invoice.pdf' } }),
    content: { is: 'job', jobId, status: 'Completed' },
  }
}

export function openForBench(url: string, concurrency = 8): Promise<Inbox> {
  return openInbox(databaseUrl(url), {
    ...{ clock: systemClock, minFree: 0, signal: new AbortController().signal },
    about: { version: 'bench', settings: {}, results: null, concurrency },
    ...{ onWait() {}, onLost() {}, onWarning() {} },
    onDeath(error) {
      throw error
    },
  })
}

type Accepting = { accept(delivery: Delivery): Promise<unknown>; close(): Promise<void> }

function single(url: string): Accepting {
  const lane = createLane({ url, name: 'bench', naming: { named: true } })
  const accept = (delivery: Delivery) =>
    lane.transaction((tx) => acceptBatch(tx, [delivery], { source: 1_000_000, now: Date.now() }))
  return { accept, close: lane.close }
}

async function run(url: string, how: string, seconds: number): Promise<number> {
  const inbox: Accepting = how === 'single' ? single(url) : await openForBench(url, 0)
  const end = performance.now() + seconds * 1_000
  let accepted = 0
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (performance.now() < end) {
        await inbox.accept(benchDelivery())
        accepted++
      }
    }),
  )
  await inbox.close()
  return accepted / seconds
}

const [, , url, how, seconds] = process.argv
if (url && how && process.send) process.send(await run(url, how, Number(seconds)))
