import { type ViewDeps, viewResult } from '../../handler/result-view.ts'
import { parseLossless } from '../../lossless-json.ts'
import type { JobRecord } from '../../results/record.ts'
import { aborted, linkSignals } from '../../signals.ts'
import type { Scrub } from '../../telemetry/scrub.ts'
import type { ResultView } from '../job.ts'
import { readSections, type Section } from './read.ts'

/** Reading a result for a page takes this long at most, ms: a store that hangs must not hold a place. */
const TIMEOUT_MS = 5_000
/** Results that are read at once: each may take some MB of memory. */
const MAX_AT_ONCE = 2
/** Results that are kept as they were read: a page refreshes every few seconds. */
const MAX_KEPT = 16

export type Previews = {
  /** What a page shows of a saved result. Never throws. */
  read(record: JobRecord, signal: AbortSignal): Promise<ResultView>
}

export function createPreviews(deps: Pick<ViewDeps, 'results' | 'walk'> & { readonly scrub: Scrub }): Previews {
  const kept = new Map<string, readonly Section[]>()
  let busy = 0
  let freed = Promise.withResolvers<void>()

  async function read(record: JobRecord, outer: AbortSignal): Promise<ResultView> {
    // Another fetch, or files that were added later, make another result.
    const key = JSON.stringify([
      record.job_id,
      record.fetched_at,
      record.job.sha256,
      record.files.path,
      record.files.sha256,
    ])
    const known = kept.get(key)
    if (known) return { is: 'sections', sections: known }
    using linked = linkSignals(outer, AbortSignal.timeout(TIMEOUT_MS))
    try {
      const sections = await inTurn(linked.signal, () =>
        readSections(viewResult(record, { ...deps, parse: parseLossless }, linked.signal)),
      )
      keep(key, sections)
      return { is: 'sections', sections }
    } catch (error) {
      const why = linked.signal.aborted ? 'the results store took longer than 5 s' : (error as Error).message
      return { is: 'unreadable', why: deps.scrub(why) }
    }
  }

  async function inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    using end = aborted(signal)
    while (busy >= MAX_AT_ONCE && !signal.aborted) await Promise.race([freed.promise, end.promise])
    signal.throwIfAborted()
    busy++
    try {
      // A store that hangs keeps no place.
      return await Promise.race([work(), end.promise.then(() => Promise.reject(signal.reason as Error))])
    } finally {
      busy--
      freed.resolve()
      freed = Promise.withResolvers()
    }
  }

  function keep(key: string, sections: readonly Section[]): void {
    const [oldest] = kept.keys()
    if (kept.size >= MAX_KEPT && oldest !== undefined) kept.delete(oldest)
    kept.set(key, sections)
  }

  return { read }
}
