import { DocumentCrashed, NotJson, ReadInterrupted } from '../answer/errors.ts'
import type { DocumentScan, FoundLink, Reading, ScanDocument } from '../answer/scan-thread.ts'
import { type Download, DownloadError } from '../download/download.ts'
import type { SavedFile } from '../results/record.ts'
import type { Draft } from '../results/results.ts'
import { MAX_CRASHES } from './answer.ts'
import { extensionOf } from './extensions.ts'
import { ResultTooLarge } from './failures.ts'
import type { Hosts } from './hosts.ts'

/** A document that stays unreadable with the same digest this many times is saved unread. */
const SAME_DIGEST_UNTIL_SAVED = 3

/** A followed link: the file, and the links in it. */
export type SavedLink = {
  readonly file: SavedFile & {
    readonly sha256: string
    readonly content_type: string | null
    readonly warning?: string
  }
  readonly reading: Reading | null
}

/**
 * Why a link could not be followed. `again`: whether to try with a fresh answer's link, in the next pass of this
 * attempt, in a later attempt, or never. `lacks`: the document it leads to has no result.
 */
export type LinkFailure = {
  readonly link: FoundLink
  readonly message: string
  readonly again: 'fresh' | 'pass' | 'later' | 'never'
  readonly lacks: boolean
}

export type SaveLinkDeps = {
  readonly draft: Draft
  readonly download: Download
  readonly scan: ScanDocument
  readonly hosts: Hosts
  readonly budget: Budget
}

/** The bytes that a result may still use. */
export type Budget = {
  readonly left: number
  /** The limit of the whole result, bytes. */
  readonly whole: number
  /** @throws ResultTooLarge */
  take(bytes: number): void
  giveBack(bytes: number): void
}

/** Every file counts as at least one disk block of bytes, which also bounds the number of files. */
const MIN_FILE_BYTES = 4096

export function createBudget(maxBytes: number, used: number): Budget {
  let left = maxBytes - used
  return {
    get left() {
      return Math.max(left, 0)
    },
    whole: maxBytes,
    take(bytes) {
      left -= bytes
      if (left < 0) throw new ResultTooLarge('the result is larger than MAX_RESULT_BYTES')
    },
    giveBack(bytes) {
      left += bytes
    },
  }
}

/** The inputs of one try at a link. `onBytes` is called for every chunk received. */
export type LinkTry = {
  readonly link: FoundLink
  /** The same for every try at one link. */
  readonly number: number
  readonly signal: AbortSignal
  readonly onBytes: () => void
}

/** `undo`: removes the effects of a failed try. */
type Following = { readonly scanning: DocumentScan | null; readonly maxBytes: number; undo(): void }

export type LinkSaver = {
  /** Downloads into the draft and reads the file's own links on the way. */
  save(one: LinkTry): Promise<SavedLink | LinkFailure>
  /** Downloads only to read the links: for a saved document whose own links have expired. */
  lookThrough(one: LinkTry): Promise<Reading | LinkFailure>
}

/** Follows single links. Throws failures that make the whole result impossible, and the reason of an aborted signal. */
export function createLinkSaver(deps: SaveLinkDeps): LinkSaver {
  const digests = new Map<number, string[]>()
  const crashes = new Map<number, number>()

  async function save(one: LinkTry): Promise<SavedLink | LinkFailure> {
    const { link, number } = one
    const scanning = link.contents === null ? null : deps.scan(link.contents)
    let counted = 0
    const count = (bytes: number) => {
      counted += bytes
      deps.budget.take(bytes)
    }
    return following(
      one,
      { scanning, maxBytes: deps.budget.left, undo: () => deps.budget.giveBack(counted) },
      async ({ contentType, body }) => {
        count(MIN_FILE_BYTES)
        const name = `files/${number}-${link.field}${extensionOf(contentType)}`
        let bytes = 0
        const saved = await deps.draft.write(
          name,
          tee(body, scanning, one, (more) => {
            const over = Math.max(bytes + more - MIN_FILE_BYTES, 0) - Math.max(bytes - MIN_FILE_BYTES, 0)
            bytes += more
            count(over)
          }),
        )
        const file = { ...saved, content_type: contentType }
        if (!scanning) return { file, reading: null }
        try {
          return whole(link, file, await scanning.end())
        } catch (error) {
          if (!(error instanceof NotJson) || !isSameAgain(number, saved.sha256)) throw error
          return { file: { ...file, warning: `saved as it is: ${error.message}` }, reading: null }
        }
      },
    )
  }

  async function lookThrough(one: LinkTry): Promise<Reading | LinkFailure> {
    const scanning = deps.scan(one.link.contents!)
    return following(
      one,
      // The saved file needs no more room.
      { scanning, maxBytes: deps.budget.whole, undo() {} },
      async ({ body }) => {
        for await (const _ of tee(body, scanning, one, () => {})) {
          // Consumes the body; the scan reads it.
        }
        return scanning.end()
      },
    )
  }

  /** Decides what a failed try means for this link and its host. */
  async function following<T>(
    one: LinkTry,
    { scanning, maxBytes, undo }: Following,
    use: (downloaded: Awaited<ReturnType<Download>>) => Promise<T | LinkFailure>,
  ): Promise<T | LinkFailure> {
    const { link, signal } = one
    const failed = (message: string, again: LinkFailure['again']) => ({ link, message, again, lacks: false })
    const resting = deps.hosts.leftAlone(link.url)
    if (resting !== null) {
      scanning?.drop()
      return failed(resting, 'later')
    }
    try {
      const used = await use(await deps.download(link.url, { signal, maxBytes }))
      deps.hosts.succeeded(link.url)
      return used
    } catch (error) {
      scanning?.drop()
      undo()
      // An aborted download says nothing about the file.
      signal.throwIfAborted()
      if (error instanceof NotJson) return failed(`it is not JSON: ${error.message}`, 'fresh')
      if (error instanceof DocumentCrashed) {
        crashes.set(one.number, (crashes.get(one.number) ?? 0) + 1)
        if (crashes.get(one.number)! >= MAX_CRASHES) throw error
        return failed(error.message, 'pass')
      }
      if (error instanceof ReadInterrupted) return failed(error.message, 'pass')
      if (!(error instanceof DownloadError)) throw error
      if (error.kind === 'too_large') throw new ResultTooLarge(error.message)
      deps.hosts.failed(error)
      return failed(error.message, AGAIN[error.kind])
    }
  }

  /** The same bytes have come often enough to believe that they will not change. */
  function isSameAgain(number: number, sha256: string): boolean {
    const seen = [...(digests.get(number) ?? []), sha256]
    digests.set(number, seen)
    return seen.filter((digest) => digest === sha256).length >= SAME_DIGEST_UNTIL_SAVED
  }

  return { save, lookThrough }
}

const AGAIN = {
  expired: 'fresh',
  failed: 'pass',
  timeout: 'pass',
  blocked: 'later',
  never: 'never',
} as const satisfies Record<Exclude<DownloadError['kind'], 'too_large'>, LinkFailure['again']>

/** A document without any result, such as an error object or null, is not accepted. */
function whole(link: FoundLink, file: SavedLink['file'], reading: Reading): SavedLink | LinkFailure {
  if (reading.lacks === null) return { file, reading }
  return { link, message: `it leads to a document without a result: ${reading.lacks}`, again: 'fresh', lacks: true }
}

async function* tee(
  body: AsyncIterable<Uint8Array>,
  scanning: DocumentScan | null,
  one: LinkTry,
  count: (bytes: number) => void,
): AsyncIterable<Uint8Array> {
  for await (const piece of body) {
    count(piece.byteLength)
    one.onBytes()
    await scanning?.write(piece)
    yield piece
  }
}
