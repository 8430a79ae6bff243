import { at, isArray, isLink, isText, type Kept } from './kept.ts'
import { KINDS, type Kind, type KindSpec, type PartSpec, type Pattern, UNKNOWN } from './kinds.ts'
import { whatLacks, where } from './lacks.ts'
import { bareOf, type Level, type LinkedRole } from './plan.ts'
import { type Path, pointerOf } from './pointer.ts'
import { isEnvelope } from './response.ts'
import { isWebUrl } from './scan.ts'

/** An expiring link, at a position where its kind of document has one. */
export type FoundLink = {
  /** JSON Pointer of the URL. */
  readonly pointer: string
  /** The name of the member that holds it, used in the file's name. */
  readonly field: string
  readonly url: string
  /** A job without this file has no result; a side file may be missing. */
  readonly essential: boolean
  /** The role of the linked document, if it must be scanned itself. */
  readonly contents: LinkedRole | null
}

/** The findings in a document: its links, one for each pointer, and the first required part that is missing. */
export type Found = { readonly links: FoundLink[]; lacks: string | null }

/**
 * The position of a response or result. `next`: what a link at this position leads to; null when no further link is
 * allowed.
 */
type Position = { readonly path: Path; readonly response: Level | null; readonly result: Level | null }

const FIRST = { response: 'response', result: 'result' } as const
const AFTER: Readonly<Record<Level, Level | null>> = { response: 'result', result: 'last', last: null, values: null }

/** The links of a job's answer of a known kind. */
export function readAnswer(root: Kept | undefined, kind: Kind): Found {
  const found: Found = { links: [], lacks: null }
  readResponse(at(root, 'result'), KINDS[kind], kind, { path: ['result'], ...FIRST }, found)
  return found
}

/** The links of a document that a link of a known kind leads to: a response or a result. */
export function readLinked(root: Kept | undefined, kind: Kind, level: Level): Found {
  const found: Found = { links: [], lacks: null }
  const spec = KINDS[kind]
  const position: Position = { path: [], response: AFTER[level], result: AFTER[level] }
  // A result behind a link to extracted values is the customer's data, whatever it looks like.
  const isData = 'values' in spec.has && level !== 'response'
  if (isEnvelope(root, kind, level) || (isLink(root) && !isData)) readResponse(root, spec, kind, position, found)
  else readResult(root, spec, kind, { ...position, result: null }, found, isData)
  return found
}

function readResponse(value: Kept | undefined, spec: KindSpec, kind: Kind, position: Position, found: Found): void {
  if (isLink(value)) return follow(value, kind, position.path, position.response, found)
  sideLinks(value, spec.sideLinks?.response, position.path, found)
  if (linksDocument(value, spec, position.path, found)) return
  // An extraction may be its bare list.
  if (isArray(value) && 'values' in spec.has) return readResult(value, spec, kind, position, found, false)
  const result = at(value, 'result')
  if (result === undefined) return lack(found, whatLacks(value, spec, position.path, 'response'))
  readResult(result, spec, kind, { ...position, path: [...position.path, 'result'] }, found, false)
}

function readResult(
  value: Kept | undefined,
  spec: KindSpec,
  kind: Kind,
  { path, result }: Position,
  found: Found,
  isData: boolean,
): void {
  if (isLink(value) && !isData) return follow(value, kind, path, result, found)
  if (linksDocument(value, spec, path, found)) return
  if ('parts' in spec.has) readParts(value, spec.has.parts, path, found)
  const patterns = spec.sideLinks?.result ?? []
  // Links may lead to bare arrays.
  const isBare = isArray(value) && path.length === 0
  sideLinks(value, isBare ? patterns.flatMap((pattern) => bareOf(pattern, spec.bare) ?? []) : patterns, path, found)
  lack(found, whatLacks(value, spec, path, 'result'))
}

/** Whether the required part of this kind is a file whose link exists here. */
function linksDocument(value: Kept | undefined, { has }: KindSpec, path: Path, found: Found): boolean {
  const url = 'document' in has ? at(value, has.document) : undefined
  if (!('document' in has) || !isText(url)) return false
  add(found, [...path, has.document], url, true, null)
  return true
}

function readParts(value: Kept | undefined, parts: Readonly<Record<string, PartSpec>>, path: Path, found: Found): void {
  for (const [name, part] of Object.entries(parts)) {
    const there = at(value, name)
    if (there === null || there === undefined) continue
    const spec = KINDS[part.kind]
    if (!part.list || !isArray(there)) {
      readResponse(there, spec, part.kind, { path: [...path, name], ...FIRST }, found)
      continue
    }
    for (let index = 0; index < there.size; index++) {
      const item = at(there, index)
      const steps = part.inItem === undefined ? [name, index] : [name, index, part.inItem]
      const response = part.inItem === undefined ? item : at(item, part.inItem)
      readResponse(response, spec, part.kind, { path: [...path, ...steps], ...FIRST }, found)
    }
  }
}

function follow(link: Kept, kind: Kind | 'Unknown', path: Path, level: Level | null, found: Found): void {
  if (level === null)
    return lack(found, `${where(path)} is yet another link: links to results lead in a circle, or too far`)
  add(found, [...path, 'url'], at(link, 'url') as string, true, `${kind}.${level}`)
}

/**
 * The links of a document of an unknown kind: by form at the position of the response or result, by name elsewhere.
 * `holdsValues`: it is an extraction, so that its result is data. `level` is null for a job's answer.
 */
export function readUnknown(root: Kept | undefined, level: Level | null, holdsValues: boolean): Found {
  const found: Found = { links: [], lacks: null }
  const base = level === null ? ['result'] : []
  const response = at(root, ...base)
  if (level !== 'values') {
    const next = level === null ? FIRST : { response: AFTER[level], result: AFTER[level] }
    const linked = holdsValues
      ? ({ response: next.response && 'values', result: next.result && 'values' } as const)
      : next
    if (isLink(response)) follow(response, 'Unknown', base, linked.response, found)
    else if (isLink(at(response, 'result')))
      follow(at(response, 'result')!, 'Unknown', [...base, 'result'], linked.result, found)
    collectByName(response, base, holdsValues ? pointerOf([...base, 'result']) : null, found)
  }
  if (!found.links.some(({ contents }) => contents !== null)) lack(found, whatLacks(response, null, base, 'response'))
  return found
}

/** `without`: the pointer of a value that is certainly data. */
function collectByName(value: Kept | undefined, path: Path, without: string | null, found: Found): void {
  if (typeof value === 'string') {
    const [name, holder] = [path.at(-1), path.at(-2)]
    const isNamed =
      typeof name === 'number' ? UNKNOWN.linkArrays.has(String(holder)) : UNKNOWN.linkNames.has(name as string)
    if (isNamed && isWebUrl(value)) add(found, path, value, UNKNOWN.essential.has(pointerOf(path)), null)
    return
  }
  if (typeof value !== 'object' || value === null) return
  if (without !== null && pointerOf(path) === without) return
  for (const [name, member] of value.members)
    if (typeof name === 'number' || !UNKNOWN.dataNames.has(name)) collectByName(member, [...path, name], without, found)
}

function sideLinks(value: Kept | undefined, patterns: readonly Pattern[] | undefined, path: Path, found: Found): void {
  for (const pattern of patterns ?? [])
    for (const [steps, url] of matches(value, pattern.split('/'), [])) {
      if (isWebUrl(url)) add(found, [...path, ...steps], url, false, null)
    }
}

/** The values that match a pattern, and the path to each. */
function* matches(value: Kept | undefined, pattern: readonly string[], steps: Path): Iterable<[Path, Kept]> {
  const [step, ...rest] = pattern
  if (value === undefined) return
  if (step === undefined) yield [steps, value]
  else if (step !== '*') yield* matches(at(value, step), rest, [...steps, step])
  else if (isArray(value)) for (const [index, item] of value.members) yield* matches(item, rest, [...steps, index])
}

function add(found: Found, path: Path, url: string, essential: boolean, contents: LinkedRole | null): void {
  const last = path.at(-1)
  const field = String(typeof last === 'number' ? path.at(-2) : last)
  found.links.push({ pointer: pointerOf(path), field, url, essential, contents })
}

function lack(found: Found, what: string | null): void {
  found.lacks ??= what
}
