import { expect, it } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { deliver, signDelivery } from '../../src/testing.ts'
import { testReducto, testService } from '../support/service.ts'
import { alertReceiver } from './support.ts'

it('a service tells ALERT_URL of a dead job, and nothing that a sender wrote', async () => {
  const alertSecret = newSecret()
  const receiver = await alertReceiver(alertSecret)
  const reducto = await testReducto()
  const service = await testService({
    reducto,
    env: {
      ALERT_URL: `${receiver.url}?token=quite-a-secret`,
      ALERT_SECRET: alertSecret,
      HANDLER: new URL('./refuses.ts', import.meta.url).pathname,
    },
  })
  const jobId = reducto.addJob({ kind: 'parse' })
  const delivery = signDelivery({ secret: service.secret, jobId, metadata: { patient: 'Jane Doe' } })
  expect(await deliver(`${service.url}/webhook`, delivery)).toMatchObject({ status: 200 })
  const [alert] = await receiver.arrived(1)
  expect(alert!.body).toMatchObject({ type: 'jobs.dead', data: { count: 1, job_ids: [jobId] } })
  expect(JSON.stringify(alert!.body)).toContain('not for us')
  expect(alert!.raw).not.toMatch(/Jane|quite-a-secret|whsec_/)
})
