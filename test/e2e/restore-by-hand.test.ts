import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { newMessageId } from '../../src/signing.ts'
import { spawnReceiver } from '../support/process.ts'
import { event, signed, type TestService, testReducto, testService } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** The steps of docs/operations.md#restore, and what the page says about the replay afterwards. */

type Message = { readonly id: string; readonly jobId: string; readonly body: string }

function message(jobId: string): Message {
  return { id: newMessageId(), jobId, body: JSON.stringify({ status: 'Completed', job_id: jobId }) }
}

/** Delivers as Svix does, also on a replay: the same id, signed anew. */
async function deliver(service: TestService, { id, body }: Message): Promise<unknown> {
  const headers = signed(service.secret, body, id)
  const response = await fetch(`${service.url}/webhook`, { method: 'POST', headers, body })
  expect(response.status).toBe(200)
  return response.json()
}

async function deliverAndSettle(service: TestService, one: Message): Promise<unknown> {
  const settled = event(service.events, 'settled', ({ jobId }) => jobId === one.jobId)
  const answer = await deliver(service, one)
  await settled
  return answer
}

it('a restored database knows what it knew, and a replay brings the rest: from what is saved, if it is', async () => {
  const reducto = await testReducto()
  const folder = tempFolder()
  const database = join(folder, 'receiver.db')
  const [before, kept, lost] = [0, 1, 2].map(() => message(reducto.addJob())) as [Message, Message, Message]

  const first = await testService({ reducto, folder })
  const env = { SVIX_WEBHOOK_SECRET: first.secret }
  await deliverAndSettle(first, before)
  const backup = join(tempFolder(), 'backup.db')
  const command = spawnReceiver(['backup', backup], { DATABASE_URL: `sqlite:${database}` })
  expect(await command.exited, command.output()).toBe(0)
  for (const later of [kept, lost]) await deliverAndSettle(first, later)
  await first.stop()

  const away = join(folder, 'away')
  mkdirSync(away)
  for (const file of readdirSync(folder).filter((name) => /^receiver\.db(?:-wal|-shm)?$/.test(name)))
    renameSync(join(folder, file), join(away, file))
  copyFileSync(backup, database)
  rmSync(join(folder, 'results', lost.jobId), { recursive: true })

  const restored = await testService({ reducto, folder, env })
  expect(await deliver(restored, before)).toEqual({ received: true, duplicate: true, job: 'done' })
  for (const later of [kept, lost]) expect(await deliverAndSettle(restored, later)).toEqual({ received: true })
  expect(reducto.fetches.get(before.jobId)).toBe(1)
  expect(reducto.fetches.get(kept.jobId), 'what is saved is not fetched again').toBe(1)
  expect(reducto.fetches.get(lost.jobId)).toBe(2)
  const { jobs } = await restored.inbox.stats()
  expect(jobs).toMatchObject({ done: 3, dead: 0, queued: 0 })
})
