import { newSecret } from '../../src/signing.ts'
import { KINDS } from '../../src/simulator/documents/documents.ts'
import { signed } from '../support/service.ts'
import type { Rig } from './rig.ts'

/** Metadata that would like to be more than text. */
const HOSTILE = {
  customer: '<script>window.isHacked = 1</script>',
  file: '"><img src=x onerror="window.isHacked = 2">.pdf',
  note: '\u202Egnp.exe',
  isEscaped: true,
  link: 'javascript:window.isHacked=3',
  '<b>key</b>': { toString: 'x', __html: '<b>x</b>' },
}

const CUSTOMERS = ['acme', 'initech', 'globex', 'umbrella', 'stark', 'nordlicht', 'helvetia-re', 'contoso']

/** What an ordinary day looks like, in one of everything. */
export async function seed(rig: Rig) {
  let number = 0
  const metadata = (documentType: string, more: Readonly<Record<string, unknown>> = {}) => {
    number++
    return {
      customer: CUSTOMERS[number % CUSTOMERS.length]!,
      documentType,
      file: `${documentType}-${4_200 + number}.pdf`,
      orderId: String(9_007_199_254_740_000 + number * 37),
      ...more,
    }
  }
  const ids: Record<string, string> = {}
  for (const kind of KINDS) ids[kind] = await rig.job({ kind, metadata: metadata(kind) })
  ids.hostile = await rig.job({ kind: 'parse', metadata: HOSTILE })
  ids.failed = await rig.job({
    status: 'Failed',
    reason: 'The document is protected by a password',
    metadata: metadata('locked'),
  })
  for (let index = 0; index < 3; index++)
    ids[`schema${index}`] = await rig.job({
      kind: 'extract-v3',
      metadata: metadata('invoice', { trouble: 'schema' }),
      until: 'dead',
    })
  ids.credit = await rig.job({ kind: 'extract', metadata: metadata('credit', { trouble: 'credit' }), until: 'dead' })
  ids.retrying = await rig.job({ kind: 'extract', metadata: metadata('invoice', { trouble: 'db' }), until: 'queued' })
  const waiting = metadata('annual-report')
  ids.unfinished = rig.reducto.addJob({ kind: 'parse', status: 'Pending', metadata: waiting })
  await rig.post(ids.unfinished, { metadata: waiting })

  // It arrives again, and something arrives that is refused, ignored or rejected.
  const svixId = (await rig.inbox.get(ids.pipeline!))!.deliveries[0]!.svixId
  for (let again = 0; again < 3; again++)
    await rig.post(ids.pipeline!, { id: svixId, metadata: { customer: 'nordlicht' } })
  const bodies = ['{"success":true}', '{"job_id": 5, "status": "Completed"}']
  for (const body of bodies)
    await fetch(`${rig.url}/webhook`, { method: 'POST', headers: signed(rig.secret, body), body })
  for (let refused = 0; refused < 4; refused++)
    await fetch(`${rig.url}/webhook`, { method: 'POST', headers: signed(newSecret(), '{}'), body: '{}' })
  await fetch(`${rig.url}/webhook`, { method: 'POST', body: '{}' })
  await rig.inbox.count(lastHour(Date.now()))
  return ids
}

/** What was counted before the service was started. */
function lastHour(now: number) {
  return Array.from({ length: 60 }, (_, ago) => {
    const many = Math.round(14 + 9 * Math.sin(ago / 5) + 5 * Math.sin(ago * 1.7))
    const counts = {
      accepted: many,
      duplicate: ago % 9 === 0 ? 2 : 0,
      'refused:no_match': ago > 30 && ago < 36 ? 5 : 0,
      done: many,
      failed: ago % 13 === 0 ? 1 : 0,
      dead: ago === 12 ? 2 : 0,
    }
    return { at: now - (now % 60_000) - ago * 60_000, counts }
  })
}
