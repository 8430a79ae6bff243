import type { Content, DeliveryDetail, DeliveryFilter, Ledger, ListedDelivery, Page } from '../inbox/inbox.ts'
import { type ActingDeps, noteAction } from './acting.ts'
import { resolveId, resolveIds } from './ids.ts'
import { type Refusal, refuse, type Skipped } from './refusal.ts'
import { allRows, type OnSearched, type Rows, type WantedPage, wholePage } from './walk.ts'

/** What a body is, as if it had just arrived. */
export type ContentOf = (body: string) => Content

/** `note`: why it was not understood, and would not be now; null where it was. */
export type NotedDelivery = ListedDelivery & { readonly note: string | null }

/** A page of deliveries, the newest first. */
export async function listDeliveries(
  deps: { readonly ledger: Pick<Ledger, 'deliveries' | 'delivery'>; readonly contentOf: ContentOf },
  filter: DeliveryFilter,
  page: WantedPage,
  onSearched: OnSearched = () => {},
): Promise<Rows<NotedDelivery>> {
  return noted(deps, await wholePage((part) => deps.ledger.deliveries(filter, part), page, onSearched))
}

/** The same, as far as the inbox looks at once: a page may be short, or empty, although `next` says that there is more. */
export async function searchDeliveries(
  deps: Parameters<typeof listDeliveries>[0],
  filter: DeliveryFilter,
  page: Page,
): Promise<Rows<NotedDelivery>> {
  return noted(deps, await deps.ledger.deliveries(filter, page))
}

async function noted(
  { ledger, contentOf }: Parameters<typeof listDeliveries>[0],
  found: Rows<ListedDelivery>,
): Promise<Rows<NotedDelivery>> {
  const rows: NotedDelivery[] = []
  for (const row of found.rows) {
    const body = row.disposition === 'rejected' ? ((await ledger.delivery(row.svixId))?.body ?? null) : null
    rows.push({ ...row, note: noteOn(row, body, contentOf) })
  }
  return { ...found, rows }
}

function noteOn({ disposition }: ListedDelivery, body: string | null, contentOf: ContentOf): string | null {
  if (disposition !== 'rejected' || body === null) return null
  const content = contentOf(body)
  return content.is === 'rejected' ? content.reason : 'it would be understood now: `deliveries retry`'
}

/** One delivery with its body, by its svix-id or the start of it. */
export async function showDelivery(
  { ledger, contentOf }: { readonly ledger: Pick<Ledger, 'idsFrom' | 'delivery'>; readonly contentOf: ContentOf },
  id: string,
): Promise<{ readonly is: 'delivery'; readonly delivery: DeliveryDetail & NotedDelivery } | Refusal> {
  const resolved = await resolveId(ledger, 'delivery', id)
  if (resolved.is === 'refused') return resolved
  const delivery = await ledger.delivery(resolved.id)
  if (delivery === null) return refuse('unknown', `there is no delivery ${id}`)
  return { is: 'delivery', delivery: { ...delivery, note: noteOn(delivery, delivery.body, contentOf) } }
}

/** Which deliveries are read again: those with these ids, or all ignored and rejected ones that match. */
export type WhichDeliveries = { readonly ids: readonly string[] } | { readonly filter: DeliveryFilter }

export type RereadResult = {
  readonly is: 'done'
  readonly dryRun: boolean
  /** Deliveries that name a job now: it was queued, or would be. */
  readonly queued: number
  /** Those that still name none. */
  readonly unchanged: number
  readonly skipped: readonly Skipped[]
}

export type RereadDeps = ActingDeps & {
  readonly ledger: Pick<Ledger, 'idsFrom' | 'delivery' | 'deliveries' | 'reread' | 'note'>
  readonly contentOf: ContentOf
}

/** Of a body that concerns no job so much is kept, bytes (a character that was cut in two is left out). */
const KEPT_BYTES = 4096 - 4

/**
 * Reads recorded deliveries again that were ignored or rejected: after an upgrade they may be understood. Idempotent.
 */
export async function rereadDeliveries(
  deps: RereadDeps,
  which: WhichDeliveries & { readonly dryRun?: boolean; readonly onSearched?: OnSearched },
): Promise<RereadResult> {
  const dryRun = which.dryRun ?? false
  const { ids, skipped } = await idsOf(deps, which)
  const filter = 'filter' in which ? which.filter : null
  const action = dryRun ? undefined : await noteAction(deps, { what: 'retry_deliveries', filter, ids })
  let [queued, unchanged] = [0, 0]
  for (const id of ids) {
    const became = await rereadNoted(deps, id, dryRun, async () => action)
    if (became === 'job') queued++
    else if (became === 'unchanged') unchanged++
    else skipped.push({ id, why: became.why })
  }
  return { is: 'done', dryRun, queued, unchanged, skipped }
}

async function idsOf(
  { ledger }: RereadDeps,
  which: Parameters<typeof rereadDeliveries>[1],
): Promise<{ readonly ids: readonly string[]; readonly skipped: Skipped[] }> {
  if ('ids' in which) {
    const { ids, skipped } = await resolveIds(ledger, 'delivery', which.ids)
    return { ids, skipped: [...skipped] }
  }
  const { filter, onSearched = () => {} } = which
  const dispositions = filter.disposition === undefined ? (['ignored', 'rejected'] as const) : [filter.disposition]
  const ids: string[] = []
  // All first: one that is read again is recorded anew, and would be met a second time.
  for (const disposition of dispositions)
    for await (const row of allRows((page) => ledger.deliveries({ ...filter, disposition }, page), onSearched))
      ids.push(row.svixId)
  return { ids, skipped: [] }
}

/** Why a delivery is not read again. `cut`: only the start of its body is kept. */
export type NotReread = { readonly code: 'unknown' | 'has_job' | 'no_body' | 'cut'; readonly why: string }

const UNKNOWN: NotReread = { code: 'unknown', why: 'there is no such delivery' }

/** Reads the delivery with exactly this id again. `unchanged`: it still names no job. */
export async function rereadDelivery(
  deps: ActingDeps & Pick<RereadDeps, 'contentOf'> & { readonly ledger: Pick<Ledger, 'delivery' | 'reread' | 'note'> },
  id: string,
): Promise<'job' | 'unchanged' | NotReread> {
  return rereadNoted(deps, id, false, () => noteAction(deps, { what: 'retry_deliveries', filter: null, ids: [id] }))
}

/** `begin`: notes the action once it is clear that there is something to do. */
async function rereadNoted(
  { ledger, contentOf }: { readonly ledger: Pick<Ledger, 'delivery' | 'reread'>; readonly contentOf: ContentOf },
  id: string,
  dryRun: boolean,
  begin: () => Promise<number | undefined>,
): Promise<'job' | 'unchanged' | NotReread> {
  const delivery = await ledger.delivery(id)
  if (delivery === null) return UNKNOWN
  if (delivery.disposition === 'job')
    return { code: 'has_job', why: `concerns job ${delivery.jobId} already: retry that one` }
  if (delivery.body === null) return { code: 'no_body', why: 'has no body any more' }
  const content = contentOf(delivery.body)
  if (content.is !== 'job' && Buffer.byteLength(delivery.body) >= KEPT_BYTES)
    return { code: 'cut', why: 'only the start of its body is kept: press Resend in Svix' }
  if (content.is !== 'job' || dryRun) return content.is === 'job' ? 'job' : 'unchanged'
  const became = await ledger.reread(id, content, await begin())
  return became === 'unknown' ? UNKNOWN : became
}
