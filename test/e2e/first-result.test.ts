import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { read } from '../docs/support.ts'
import { freePort } from '../support/port.ts'
import { isReady, spawnReceiver } from '../support/process.ts'
import { signed, testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

/** The commands of docs/first-result.md, as a new user gives them, against the simulator. */

const page = read('docs/first-result.md')
const commands = [...page.matchAll(/^npx --no-install reducto-webhook-receiver (.+)$/gm)].map(([, line]) =>
  [...line!.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!),
)

it('leads from nothing to a saved result', async () => {
  const folder = tempFolder()
  const port = String(await freePort())
  const reducto = await testReducto({ jobTime: 3_600_000 })
  const secret = newSecret()
  const env = { ...testEnv(folder, reducto, secret), PORT: port, PUBLIC_URL: `http://127.0.0.1:${port}` }
  const service = spawnReceiver(['serve'], env, folder)
  await service.line(isReady)
  writeFileSync(join(folder, 'document.pdf'), '%PDF-1.7')

  expect(commands.map(([name]) => name)).toEqual(['doctor', 'submit', 'jobs', 'jobs'])
  for (const given of commands) {
    const [job] = reducto.submissions
    const args = given.map((word) => (word === 'JOB_ID' ? job!.jobId : word))
    const command = spawnReceiver(args, env, folder)
    expect([args, await command.exited, command.output()]).toEqual([args, 0, expect.any(String)])
    if (given[0] === 'jobs') expect(command.output()).toContain(job!.jobId.slice(0, 8))
    if (given[0] !== 'submit') continue
    const { jobId } = reducto.submissions[0]!
    expect(command.output()).toContain(jobId)
    const done = service.line((line) => line.msg === 'job' && line.jobId === jobId && line.state === 'done')
    reducto.end(jobId)
    const body = JSON.stringify({ status: 'Completed', job_id: jobId, metadata: { user_id: '123' } })
    await fetch(`http://127.0.0.1:${port}/webhook`, { method: 'POST', body, headers: signed(secret, body) })
    await done
    for (const file of ['record.json', 'job.json']) expect(existsSync(join(folder, 'results', jobId, file))).toBe(true)
  }
}, 120_000)
