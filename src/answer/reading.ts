import { MAX_LINK_BYTES, MAX_REASON_CHARS } from './bounds.ts'
import { DocumentTooComplex, NotJson } from './errors.ts'
import { at, hasShape, isObject, isText, type Kept } from './kept.ts'
import { isKind, KIND_NAMES, KINDS, type Kind, kindOfResponseType, type Shape } from './kinds.ts'
import { type Found, type FoundLink, readAnswer, readLinked, readUnknown } from './links.ts'
import { partsOf, type Role } from './plan.ts'
import type { Scan } from './scan.ts'

/** What is needed of a document to save it. It stays small, however large the document is. */
export type Reading = {
  /** From a job's answer; null in any other document, and when unknown. */
  readonly status: string | null
  readonly reason: string | null
  /** The kind of job. An unknown type is passed on unchanged. */
  readonly type: string | null
  /** The expiring links, one for each pointer, essential ones first. */
  readonly links: readonly FoundLink[]
  /**
   * For a linked document, and for a job's answer with the status Completed: a sentence that names the missing required
   * part of its kind. Null when everything exists, directly or behind an essential link.
   */
  readonly lacks: string | null
  /**
   * False when it is not JSON, which is allowed only for targets of links of an unknown kind or of an edit. It has no
   * links then.
   */
  readonly isJson: boolean
}

const NOTHING = { status: null, reason: null, type: null, links: [], lacks: null, isJson: true } as const

/** The reading of a document that is not JSON; null if this role requires JSON. */
export function readingOfOther(role: Role): Reading | null {
  const mayBeAnything =
    role !== 'job' && (role.startsWith('Unknown.') || 'document' in KINDS[partsOf(role).kind as Kind].has)
  return mayBeAnything ? { ...NOTHING, isJson: false } : null
}

/**
 * Interprets a scanned document.
 * @throws NotJson when it is not an answer
 * @throws DocumentTooComplex
 */
export function readingOf(scan: Scan, role: Role): Reading {
  scan.check('Common')
  return role === 'job' ? readJob(scan) : readLink(scan, role)
}

function readJob(scan: Scan): Reading {
  const { root } = scan
  if (!isObject(root)) throw new NotJson(root === undefined ? 'it is empty' : 'it is not an object')
  const [status, reason, type] = [textAt(root, 'status'), reasonOf(root), typeOf(root)]
  const kind = isKind(type) ? type : null
  scan.check(kind ?? 'Unknown')
  const { links, lacks } = kind ? readAnswer(root, kind) : readUnknown(root, null, isExtraction(at(root, 'result')))
  return { ...NOTHING, status, reason, type, links: sorted(links), lacks: status === 'Completed' ? lacks : null }
}

function readLink(scan: Scan, role: Exclude<Role, 'job'>): Reading {
  const { kind, level } = partsOf(role)
  scan.check(kind)
  if (scan.root === undefined) return { ...NOTHING, lacks: 'the linked document is empty' }
  const found: Found =
    kind === 'Unknown' ? readUnknown(scan.root, level, isExtraction(scan.root)) : readLinked(scan.root, kind, level)
  return { ...NOTHING, links: sorted(found.links), lacks: found.lacks }
}

function sorted(links: readonly FoundLink[]): readonly FoundLink[] {
  const bytes = links.reduce((sum, { url, pointer }) => sum + url.length + pointer.length, 0)
  if (bytes > MAX_LINK_BYTES)
    throw new DocumentTooComplex('MAX_LINK_BYTES', `its links take more than ${MAX_LINK_BYTES} bytes`)
  return links.toSorted((a, b) => Number(b.essential) - Number(a.essential))
}

/** The kind of a job's answer; null when unknown. */
function typeOf(root: Kept | undefined): string | null {
  const type = at(root, 'type')
  if (isText(type)) return type
  const response = at(root, 'result')
  const responseType = at(response, 'response_type')
  if (isText(responseType)) return kindOfResponseType(responseType) ?? responseType
  return tellKind(response, KIND_NAMES)
}

/** Whether a response of an unknown kind has extracted values. */
function isExtraction(response: Kept | undefined): boolean {
  return tellKind(response, ['Extract']) !== null
}

function tellKind(response: Kept | undefined, among: readonly Kind[]): Kind | null {
  const isThere = (member: string) => {
    const [path = '', shape = 'present'] = member.split(':')
    return hasShape(at(response, ...path.split('/')), shape as Shape)
  }
  return among.find((kind) => KINDS[kind].recognisedBy.some((all) => all.every(isThere))) ?? null
}

/** The forms of errors are in docs/vendors.md#reducto-errors. */
function reasonOf(root: Kept): string | null {
  return textAt(root, 'reason') ?? textAt(root, 'error', 'message') ?? textAt(root, 'error')
}

function textAt(root: Kept, ...names: readonly string[]): string | null {
  const text = at(root, ...names)
  return isText(text) ? text.slice(0, MAX_REASON_CHARS) : null
}
