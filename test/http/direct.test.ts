import { expect, it } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { freePort } from '../support/port.ts'
import { isReady, spawnReceiver } from '../support/process.ts'
import { testEnv, testReducto } from '../support/service.ts'
import { tempFolder } from '../support/temp.ts'

it('a direct webhook is saved once, and its token is in no line of the log, right or wrong', async () => {
  const [token, wrong] = ['direct-token-that-is-right', 'direct-token-that-is-wrong']
  const reducto = await testReducto()
  const port = String(await freePort())
  const service = spawnReceiver(['serve'], {
    ...testEnv(tempFolder(), reducto, newSecret()),
    ...{ PORT: port, DIRECT_WEBHOOK_TOKEN: token, LOG_LEVEL: 'trace', DEBUG: '*', NODE_DEBUG: 'http' },
  })
  await service.line(isReady)
  const jobId = reducto.addJob({ kind: 'extract' })
  const body = JSON.stringify({ job_id: jobId, status: 'Completed', metadata: null })
  const post = async (path: string, method = 'POST') =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(method === 'POST' ? { body } : {}) })).status
  expect(await post(`/webhook/direct/${token}`)).toBe(200)
  await service.line((line) => line.msg === 'job' && line.state === 'done')
  // Reducto tries again what it got no answer to.
  expect(await post(`/webhook/direct/${token}`)).toBe(200)
  expect(await post(`/webhook/direct/${wrong}`)).toBe(404)
  expect(await post(`/webhook/direct/${token}/more`)).toBe(404)
  expect(await post(`/webhook/direct/${token}`, 'GET')).toBe(405)
  await service.end('SIGTERM')
  expect(reducto.fetches.get(jobId)).toBe(1)
  expect(service.output()).not.toContain(token)
  expect(service.output()).not.toContain(wrong)
}, 60_000)
