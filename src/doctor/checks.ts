import { channels } from './channels.ts'
import { clock } from './clock.ts'
import type { Check } from './context.ts'
import { database } from './database.ts'
import { dead } from './dead.ts'
import { disk } from './disk.ts'
import { expected } from './expected.ts'
import { forward } from './forward.ts'
import { handler } from './handler.ts'
import { key } from './key.ts'
import { answer } from './outside/answer.ts'
import { certificate } from './outside/certificate.ts'
import { delivery } from './outside/delivery.ts'
import { dns } from './outside/dns.ts'
import { large } from './outside/large.ts'
import { signature } from './outside/signature.ts'
import { tcp } from './outside/tcp.ts'
import { proxies } from './proxies.ts'
import { refusals } from './refusals.ts'
import { results } from './results.ts'
import { secrets } from './secrets.ts'
import { service } from './service.ts'
import { settings } from './settings.ts'

/** All checks, in the order in which they are told. */
export const CHECKS: readonly Check[] = [
  ...[settings, secrets, database, results, disk, clock, key, proxies, handler, forward],
  ...[service, refusals, channels, expected, dead],
  ...[dns, tcp, certificate, answer, signature, delivery, large],
]
