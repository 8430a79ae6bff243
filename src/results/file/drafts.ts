import { lstat, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fsyncPath, mkdirDurably } from '../../fsync.ts'
import type { IsAbandoned } from '../results.ts'
import { absent } from './errors.ts'
import { type Entry, nameOf, parseName } from './names.ts'

/**
 * Another service's entry is removed when nothing in it has changed for this long, ms: an attempt without progress ends
 * after minutes.
 */
const FOREIGN_DEBRIS_AFTER_MS = 24 * 3_600_000

export type DraftsDeps = {
  /** The folder for drafts, beside the results. */
  readonly folder: string
  /** Where the results are. */
  readonly root: string
  readonly owner: string
  /** Whether a saved result exists. */
  isSaved(jobId: string): Promise<boolean>
  /** Runs a step; a step that fails at `path`, which may belong to another user, is reported and returns false. */
  orSkip(path: string, step: () => Promise<boolean>): Promise<boolean>
}

export function createDrafts({ folder, root, owner, isSaved, orSkip }: DraftsDeps) {
  /** Entries that this process is moving right now. */
  const underWay = new Set<string>()

  const pathFor = (kind: Entry['kind'], jobId: string, token = 0) => join(folder, nameOf({ kind, jobId, token, owner }))

  /** Moves a draft into the place of its job's result; false when a saved result exists that must not be replaced. */
  async function install(draft: string, jobId: string, replace: boolean): Promise<boolean> {
    if (!replace) {
      if (await isSaved(jobId)) return await giveWay(draft, jobId)
      // If two services commit at once, the second finds the place occupied.
      if (await place(draft, jobId)) return true
      if (await isSaved(jobId)) return await giveWay(draft, jobId)
    }
    await exchange(draft, jobId)
    return true
  }

  async function giveWay(draft: string, jobId: string): Promise<false> {
    await dispose(draft, jobId)
    return false
  }

  /** Returns false when something already exists there. */
  async function place(draft: string, jobId: string): Promise<boolean> {
    try {
      await rename(draft, join(root, jobId))
    } catch (error) {
      if (isOccupied(error)) return false
      throw error
    }
    await fsyncPath(root)
    return true
  }

  /** Moves the existing entry aside, and back again when the draft cannot be moved there. */
  async function exchange(draft: string, jobId: string): Promise<void> {
    const target = join(root, jobId)
    const old = pathFor('replaced', jobId)
    underWay.add(old)
    try {
      const moved = await rename(target, old).then(() => true, absent)
      await rename(draft, target).catch(async (error) => {
        if (moved) await rename(old, target).catch(() => {})
        throw error
      })
      await fsyncPath(root)
      // Left-over files do not make a saved result unsaved: a later start removes them.
      await rm(old, { recursive: true, force: true }).catch(() => {})
    } finally {
      underWay.delete(old)
    }
  }

  /**
   * Removes the entry at `path`. It is moved away first: a half-removed entry must look neither complete nor usable.
   */
  async function dispose(path: string, jobId: string): Promise<boolean> {
    const away = pathFor('removed', jobId)
    underWay.add(away)
    try {
      const found = (await rename(path, away).then(() => true, absent)) === true
      if (found) {
        if (dirname(path) === root) await fsyncPath(root)
        await rm(away, { recursive: true, force: true })
      }
      return found
    } finally {
      underWay.delete(away)
    }
  }

  /** Every entry of this folder that a service made, one after another. */
  async function* entries(): AsyncIterable<Entry & { readonly path: string }> {
    for (const name of (await readdir(folder).catch(absent)) ?? []) {
      const entry = parseName(name)
      const path = join(folder, name)
      if (entry && !underWay.has(path)) yield { ...entry, path }
    }
  }

  async function removeAbandoned(isAbandoned: IsAbandoned, signal: AbortSignal): Promise<void> {
    await mkdirDurably(folder)
    for await (const entry of entries()) {
      signal.throwIfAborted()
      const { kind, jobId, token, path } = entry
      // Our claims say nothing about another service's drafts, which may be in use.
      if (entry.owner !== owner && !(await orSkip(path, () => isUntouched(path)))) continue
      if (kind === 'draft' && !(await isAbandoned({ jobId, token }))) continue
      await orSkip(path, () => (kind === 'replaced' ? settleReplaced(path, jobId) : dispose(path, jobId)))
    }
  }

  /** The process died while it replaced a result: restores the old one unless the new one exists. */
  async function settleReplaced(path: string, jobId: string): Promise<boolean> {
    if (await isSaved(jobId)) return await dispose(path, jobId)
    return await place(path, jobId)
  }

  /** Removes every entry of a job. */
  async function removeAllOf(jobId: string): Promise<void> {
    for await (const entry of entries()) if (entry.jobId === jobId) await dispose(entry.path, jobId)
  }

  return { pathFor, install, dispose, removeAbandoned, removeAllOf }
}

function isOccupied(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** Whether nothing at `path` or within it has changed for a day. */
async function isUntouched(path: string): Promise<boolean> {
  const info = await lstat(path).catch(absent)
  if (info === null || isRecent(info)) return false
  if (!info.isDirectory()) return true
  for (const name of (await readdir(path).catch(absent)) ?? []) if (!(await isUntouched(join(path, name)))) return false
  return true
}

function isRecent({ mtimeMs, ctimeMs }: { mtimeMs: number; ctimeMs: number }): boolean {
  return Date.now() - Math.max(mtimeMs, ctimeMs) < FOREIGN_DEBRIS_AFTER_MS
}
