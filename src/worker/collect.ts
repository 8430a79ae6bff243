import type { FoundLink } from '../answer/scan-thread.ts'
import type { Clock } from '../clock.ts'
import { FILES, type FileEntry, type SavedFile } from '../results/record.ts'
import type { Draft } from '../results/results.ts'
import { linkSignals } from '../signals.ts'
import { createCollected } from './collected.ts'
import { ResultMissing, ResultUnfinished, Stalled } from './failures.ts'
import type { Hosts } from './hosts.ts'
import type { LinkFailure, LinkSaver, LinkTry, SavedLink } from './save-link.ts'
import { createSlots } from './slots.ts'
import { createWatchdog } from './watchdog.ts'

/** Parallel downloads of one job. */
const MAX_PARALLEL = 6
/** Pauses before each further pass over missing files, ms: to ride out transient failures. */
const PASS_PAUSES_MS = [500, 2_000, 8_000] as const
/** An attempt that receives no essential byte for this long ends, ms. */
export const MAX_IDLE_MS = 600_000

export type CollectDeps = {
  readonly draft: Draft
  readonly saver: LinkSaver
  readonly hosts: Hosts
  readonly clock: Clock
}

export type Collecting = {
  /** The saved answer, as the record names it, and its links. */
  readonly root: { readonly path: string; readonly links: readonly FoundLink[] }
  /** What an earlier attempt saved: only the rest is downloaded. */
  readonly had: readonly FileEntry[]
  /** The links of a fresh answer, with renewed lifetimes; null when no fresh answer is available now. */
  readonly freshLinks: () => Promise<readonly FoundLink[] | null>
  readonly signal: AbortSignal
}

export type Collector = {
  /**
   * Downloads everything that the root and its results link to. Throws the failure that keeps the result incomplete.
   */
  run(): Promise<void>
  /** Writes files.jsonl, however `run` ended: every known link has a line. */
  list(): Promise<Listed>
}

export type Listed = {
  readonly files: SavedFile & { readonly count: number; readonly failed: number }
  /** Everything was saved as intended. */
  readonly isComplete: boolean
  /** Something is missing that may be available later. */
  readonly isWorthRetrying: boolean
}

/** A link, and the document that contains it. */
type Task = { readonly document: string; readonly link: FoundLink }

type Pass = {
  readonly signal: AbortSignal
  readonly touch: () => void
  /** Its links come from a fresh answer, so that links in saved documents are renewed, too. */
  readonly isFresh: boolean
  /** Saved documents that lack a linked file. */
  readonly incomplete: ReadonlySet<string>
  /** Equal URLs share a file. */
  readonly byUrl: Map<string, Promise<SavedLink | LinkFailure>>
  readonly inSlot: <T>(work: () => Promise<T>) => Promise<T>
  /** Side files, downloaded after the result itself. */
  readonly later: Task[]
  /** Ends the pass. */
  readonly fail: (error: unknown) => void
}

/**
 * Follows the links of an answer, and of the results that it leads to, into a draft. It works in passes: saved files
 * stay saved, expired links cause a fresh answer to be fetched, and only missing files are tried again.
 */
export function createCollector(collecting: Collecting, deps: CollectDeps): Collector {
  const { root, signal } = collecting
  const collected = createCollected(collecting.had)
  collected.noteLinks(root.path, root.links)

  async function run(): Promise<void> {
    using attempt = linkSignals(signal)
    const stalled = new Stalled('no part of the result has arrived for 10 minutes')
    using watchdog = createWatchdog(deps.clock, MAX_IDLE_MS, () => attempt.abort(stalled))
    try {
      await passes(attempt.signal, watchdog.touch)
    } catch (error) {
      // Slow side files are left for a later attempt when all else is saved.
      if (error !== stalled || collected.missingEssential() !== null) throw error
    }
    throwIfResultIsMissing()
  }

  async function passes(running: AbortSignal, touch: () => void): Promise<void> {
    let fresh: readonly FoundLink[] | null = null
    let askedFresh = false
    for (const pause of [...PASS_PAUSES_MS, null]) {
      await pass(fresh, running, touch)
      fresh = null
      const again = collected.again()
      if (pause === null || !(again.has('fresh') || again.has('pass'))) return
      // A fresh answer mends expired links at once; all other failures wait a moment.
      if (askedFresh || !again.has('fresh')) await deps.clock.sleep(pause, running)
      running.throwIfAborted()
      if (!again.has('fresh')) continue
      askedFresh = true
      fresh = await freshLinks()
      if (fresh === null) return
    }
  }

  /**
   * Without a fresh answer there is nothing more to try now; if the result itself is missing, this attempt has failed.
   */
  async function freshLinks(): Promise<readonly FoundLink[] | null> {
    try {
      return await collecting.freshLinks()
    } catch (error) {
      if (signal.aborted || collected.missingEssential() !== null) throw error
      return null
    }
  }

  async function pass(fresh: readonly FoundLink[] | null, running: AbortSignal, touch: () => void): Promise<void> {
    using all = linkSignals(running)
    if (fresh) collected.noteLinks(root.path, renewed(root.links, fresh))
    const current: Pass = {
      signal: all.signal,
      touch,
      isFresh: fresh !== null,
      incomplete: collected.incompleteDocuments(),
      byUrl: new Map(),
      inSlot: createSlots(MAX_PARALLEL),
      later: [],
      // The first error, at any depth, ends all other downloads and becomes the reason of the pass's signal.
      fail: all.abort,
    }
    await follow(current, root.path, collected.linksOf(root.path)!)
    await visitAll(current, current.later)
    all.signal.throwIfAborted()
  }

  /** Follows all links that lead to the result at once; side files are postponed. */
  async function follow(current: Pass, document: string, links: readonly FoundLink[]): Promise<void> {
    const essential: Task[] = []
    for (const link of links) (link.essential ? essential : current.later).push({ document, link })
    await visitAll(current, essential)
  }

  async function visitAll(current: Pass, tasks: readonly Task[]): Promise<void> {
    let next = 0
    const lane = async () => {
      while (next < tasks.length && !current.signal.aborted) {
        const task = tasks[next++]!
        await visit(current, task).catch((error) => {
          if (!current.signal.aborted) current.fail(error)
        })
      }
    }
    await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, tasks.length) }, lane))
  }

  async function visit(current: Pass, task: Task): Promise<void> {
    const { document, link } = task
    const path = collected.pathOf(document, link)
    if (path !== null) return current.incomplete.has(path) ? lookInto(current, task, path) : undefined
    collected.trying(document, link)
    const earlier = current.byUrl.get(link.url)
    const saving = earlier ?? current.inSlot(() => deps.saver.save(tryOf(current, task)))
    current.byUrl.set(link.url, saving)
    const saved = await saving
    if ('again' in saved) return collected.noteFailed(document, { ...saved, link })
    collected.noteSaved(document, link, saved.file)
    if (earlier || !saved.reading) return
    collected.noteLinks(saved.file.path, saved.reading.links)
    await follow(current, saved.file.path, saved.reading.links)
  }

  /** Reads a saved document that lacks linked files. Its links are known unless they must be renewed. */
  async function lookInto(current: Pass, task: Task, path: string): Promise<void> {
    const { document, link } = task
    if (link.contents === null) return
    const known = collected.linksOf(path)
    if (known && !current.isFresh) return follow(current, path, known)
    collected.trying(document, link)
    const reading = await current.inSlot(() => deps.saver.lookThrough(tryOf(current, task)))
    if ('again' in reading) return collected.noteFailed(document, reading)
    const links = known ? renewed(known, reading.links) : reading.links
    collected.noteLinks(path, links)
    await follow(current, path, links)
  }

  function tryOf(current: Pass, { document, link }: Task): LinkTry {
    const onBytes = link.essential ? current.touch : () => {}
    return { link, number: collected.numberOf(document, link), signal: current.signal, onBytes }
  }

  function throwIfResultIsMissing(): void {
    const missing = collected.missingEssential()
    if (!missing) return
    const message = `${missing.link.field} could not be downloaded: ${missing.message}`
    if (missing.lacks) throw new ResultUnfinished('no_result', message)
    throw new ResultMissing(message, { isFinal: missing.again === 'never', after: deps.hosts.longestRest })
  }

  async function list(): Promise<Listed> {
    const entries = collected.entries()
    const again = collected.again()
    const saved = await deps.draft.write(FILES, lines(entries))
    return {
      files: { ...saved, count: entries.length, failed: entries.filter((entry) => 'error' in entry).length },
      isComplete: entries.every((entry) => 'path' in entry && !('warning' in entry)),
      isWorthRetrying: again.size > 1 || (again.size === 1 && !again.has('never')),
    }
  }

  return { run, list }
}

/** The links of a saved document with the URLs of a fresh copy: the saved document determines which links there are. */
function renewed(links: readonly FoundLink[], fresh: readonly FoundLink[]): readonly FoundLink[] {
  const urls = new Map(fresh.map(({ pointer, url }) => [pointer, url]))
  return links.map((link) => ({ ...link, url: urls.get(link.pointer) ?? link.url }))
}

async function* lines(entries: readonly FileEntry[]): AsyncIterable<Uint8Array> {
  for (const entry of entries) yield Buffer.from(`${JSON.stringify(entry)}\n`)
}
