import type { FoundLink } from '../answer/scan-thread.ts'
import type { Clock } from '../clock.ts'
import { FILES, type FileEntry, type SavedFile } from '../results/record.ts'
import type { Draft } from '../results/results.ts'
import { linkSignals } from '../signals.ts'
import { ResultMissing, ResultUnfinished, Stalled } from './failures.ts'
import type { Hosts } from './hosts.ts'
import type { LinkFailure, LinkSaver, SavedLink } from './save-link.ts'
import { createWatchdog } from './watchdog.ts'

/** Downloads of one job at once. */
const MAX_PARALLEL = 6
/** Pauses before the next pass over what is missing, ms: to ride out what passes quickly. */
const PASS_PAUSES_MS = [500, 2_000, 8_000] as const
/** An attempt without an essential byte for so long ends, ms. */
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
  /** The links of a fresh answer, whose lifetimes begin anew; null when there is none to be had now. */
  readonly freshLinks: () => Promise<readonly FoundLink[] | null>
  readonly signal: AbortSignal
}

export type Collector = {
  /** Downloads everything that the root and its results link to. Throws what keeps the result from being whole. */
  run(): Promise<void>
  /** Writes files.jsonl, however `run` ended: every link that is known has a line. */
  list(): Promise<Listed>
}

export type Listed = {
  readonly files: SavedFile & { readonly count: number; readonly failed: number }
  /** Everything is saved as it was meant. */
  readonly isComplete: boolean
  /** Something is missing that may be there later. */
  readonly isWorthRetrying: boolean
}

type Pass = {
  readonly signal: AbortSignal
  readonly touch: () => void
  /** Documents that are saved, and in which something is missing. */
  readonly incomplete: ReadonlySet<string>
  /** Equal URLs share a file. */
  readonly byUrl: Map<string, Promise<SavedLink | LinkFailure>>
  readonly inSlot: <T>(work: () => Promise<T>) => Promise<T>
}

/**
 * Follows the links of an answer, and of the results that it leads to, into a draft. It goes on in passes: what is saved
 * stays saved, links that have expired ask for a fresh answer, and only what is missing is tried again.
 */
export function createCollector(collecting: Collecting, deps: CollectDeps): Collector {
  const { root, signal } = collecting
  const entries = new Map(collecting.had.map((entry) => [keyOf(entry.in, entry.pointer), entry]))
  const numbers = new Map<string, number>()
  const failures = new Map<string, LinkFailure>()
  /** The links of each saved document, by its path: none of them may be left out of the list. */
  const documents = new Map<string, readonly FoundLink[]>([[root.path, root.links]])

  async function run(): Promise<void> {
    using attempt = linkSignals(signal)
    const stalled = new Stalled('no part of the result has arrived for 10 minutes')
    using watchdog = createWatchdog(deps.clock, MAX_IDLE_MS, () => attempt.abort(stalled))
    try {
      await passes(attempt.signal, watchdog.touch)
    } catch (error) {
      // Side files that trickle are left for later, when all else is saved.
      if (error !== stalled || !areEssentialsSaved()) throw error
    }
    throwIfResultIsMissing()
  }

  async function passes(running: AbortSignal, touch: () => void): Promise<void> {
    let links = root.links
    let askedFresh = false
    for (const pause of [...PASS_PAUSES_MS, null]) {
      failures.clear()
      await pass(links, running, touch)
      const again = new Set([...failures.values()].map((failure) => failure.again))
      if (pause === null || !(again.has('fresh') || again.has('pass'))) return
      // Links that have just expired are mended by a fresh answer at once; all else by a moment's wait.
      if (askedFresh || !again.has('fresh')) await deps.clock.sleep(pause, running)
      running.throwIfAborted()
      if (!again.has('fresh')) continue
      askedFresh = true
      const fresh = await freshLinks()
      if (fresh === null) return
      links = fresh
    }
  }

  /** Without a fresh answer there is nothing more to try now; without the result itself, that is this attempt's failure. */
  async function freshLinks(): Promise<readonly FoundLink[] | null> {
    try {
      return await collecting.freshLinks()
    } catch (error) {
      if (signal.aborted || !areEssentialsSaved()) throw error
      return null
    }
  }

  async function pass(links: readonly FoundLink[], running: AbortSignal, touch: () => void): Promise<void> {
    using all = linkSignals(running)
    const current = {
      signal: all.signal,
      touch,
      incomplete: incompleteDocuments(),
      byUrl: new Map(),
      inSlot: createSlots(),
    }
    await follow(current, root.path, links, all.abort)
    all.signal.throwIfAborted()
  }

  /** A few at once. The first error, at whatever depth, ends all others: it is the reason of the pass's signal. */
  async function follow(
    current: Pass,
    document: string,
    links: readonly FoundLink[],
    fail: (error: unknown) => void,
  ): Promise<void> {
    let next = 0
    const lane = async () => {
      while (next < links.length && !current.signal.aborted) {
        const link = links[next++]!
        try {
          await visit(current, document, link, fail)
        } catch (error) {
          if (!current.signal.aborted) fail(error)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, links.length) }, lane))
  }

  async function visit(
    current: Pass,
    document: string,
    link: FoundLink,
    fail: (error: unknown) => void,
  ): Promise<void> {
    const key = keyOf(document, link.pointer)
    const one = {
      link,
      number: numberOf(key),
      signal: current.signal,
      onBytes: () => {
        if (link.essential) current.touch()
      },
    }
    const entry = entries.get(key)
    if (entry && 'path' in entry) {
      if (link.contents === null || !current.incomplete.has(entry.path)) return
      const reading = await current.inSlot(() => deps.saver.lookThrough(one))
      if ('again' in reading) return void failures.set(key, reading)
      return follow(current, entry.path, reading.links, fail)
    }
    const earlier = current.byUrl.get(link.url)
    const saving = earlier ?? current.inSlot(() => deps.saver.save(one))
    current.byUrl.set(link.url, saving)
    const saved = await saving
    if ('again' in saved) {
      failures.set(key, { ...saved, link })
      entries.set(key, { in: document, pointer: link.pointer, error: saved.message })
      return
    }
    entries.set(key, { in: document, pointer: link.pointer, ...saved.file })
    if (earlier || !saved.reading) return
    documents.set(saved.file.path, saved.reading.links)
    await follow(current, saved.file.path, saved.reading.links, fail)
  }

  function numberOf(key: string): number {
    // Behind those of an earlier attempt, whose files are in the draft too.
    const number = numbers.get(key) ?? collecting.had.length + numbers.size + 1
    numbers.set(key, number)
    return number
  }

  /** Saved documents with something missing in them, or in a document that they lead to. */
  function incompleteDocuments(): ReadonlySet<string> {
    const owners = new Map<string, string>()
    for (const entry of entries.values()) if ('path' in entry) owners.set(entry.path, entry.in)
    const found = new Set<string>()
    for (const entry of entries.values())
      if ('error' in entry)
        for (let at: string | undefined = entry.in; at !== undefined && !found.has(at); at = owners.get(at))
          found.add(at)
    return found
  }

  function missingEssential(): LinkFailure | undefined {
    return [...failures.values()].find(({ link }) => link.essential)
  }

  /** Every essential link that is known leads to a saved file. */
  function areEssentialsSaved(): boolean {
    return (
      missingEssential() === undefined &&
      root.links.every(({ essential, pointer }) => {
        const entry = entries.get(keyOf(root.path, pointer))
        return !essential || (entry !== undefined && 'path' in entry)
      })
    )
  }

  function throwIfResultIsMissing(): void {
    const missing = missingEssential()
    if (!missing) return
    const message = `${missing.link.field} could not be downloaded: ${missing.message}`
    if (missing.lacks) throw new ResultUnfinished('no_result', message)
    throw new ResultMissing(message, { isFinal: missing.again === 'never', after: deps.hosts.longestRest })
  }

  /** What was not tried, or was broken off, is missing too. */
  function noteTheRest(): void {
    for (const [path, links] of documents)
      for (const link of links) {
        const key = keyOf(path, link.pointer)
        if (entries.has(key)) continue
        const message = 'not downloaded before the attempt ended'
        failures.set(key, { link, message, again: 'later', lacks: false })
        entries.set(key, { in: path, pointer: link.pointer, error: message })
      }
  }

  async function list(): Promise<Listed> {
    noteTheRest()
    const listed = [...entries.values()]
    const saved = await deps.draft.write(FILES, lines(listed))
    return {
      files: { ...saved, count: listed.length, failed: listed.filter((entry) => 'error' in entry).length },
      isComplete: listed.every((entry) => 'path' in entry && !('warning' in entry)),
      isWorthRetrying: [...failures.values()].some(({ again }) => again !== 'never'),
    }
  }

  return { run, list }
}

function keyOf(document: string, pointer: string): string {
  return `${document}#${pointer}`
}

/** Runs so many at once; the others wait for their turn. */
function createSlots(): Pass['inSlot'] {
  let free = MAX_PARALLEL
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    else free--
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}

async function* lines(entries: readonly FileEntry[]): AsyncIterable<Uint8Array> {
  for (const entry of entries) yield Buffer.from(`${JSON.stringify(entry)}\n`)
}
