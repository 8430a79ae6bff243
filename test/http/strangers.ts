import { createApp } from '../../src/http/app.ts'
import { listen } from '../../src/http/server.ts'
import { createEvents } from '../../src/telemetry/events.ts'
import { exchangeRaw, head } from './raw.ts'

/** Run by a test in a process of its own: nothing of these requests may appear on standard error. */

const TARGETS = [
  'http://sentinel:b/',
  'http://sentinel:99999/',
  'http://[sentinel/',
  'HTTP://sentinel',
  'sentinel://sentinel',
  'javascript:sentinel',
  '*',
  '//sentinel:b/',
  '///sentinel',
  '/#//sentinel:b',
  '/webhook/%E0%A4%A-sentinel',
  '/webhook/direct/%ff',
  '/results/%ff/%ff?sentinel',
  '/healthz?%ff=sentinel',
  '/\\sentinel',
  '/%00sentinel',
]

const events = createEvents()
const app = createApp({
  receiver: () => null,
  health: () => ({ notReady: [], degraded: [] }),
  events,
  trustProxy: true,
  saved: () => ({
    now: () => 0,
    links: () => ({ to: () => '', isGood: () => true }),
    results: { record: async () => null, link: async () => null, open: async () => null },
  }),
})
const server = await listen(app, '127.0.0.1', 0, events)
for (const target of TARGETS)
  for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD', 'TRACE'])
    await exchangeRaw(server.port, head(target, { 'x-forwarded-for': 'sentinel', connection: 'close' }, method))
await server.close(0)
process.stdout.write('done\n')
