import { Tokenizer, TokenType } from '@streamparser/json'
import { createBudget, MAX_DEPTH, MAX_NAME_CHARS, MAX_TOKEN_BYTES } from './bounds.ts'
import { DocumentTooComplex, NotJson } from './errors.ts'
import type { Kept, KeptContainer } from './kept.ts'
import { UNKNOWN } from './kinds.ts'
import { type Plan, planFor, type Role, USES, type Use } from './plan.ts'

/**
 * Reads a JSON document as a stream, in bounded memory, and keeps what the plan for its role asks for. Every byte costs
 * the same: the cost of a name or value does not depend on its surroundings. As in JSON.parse, the last of equal names
 * counts.
 */
export type Scan = {
  /** What was kept; undefined when the document is empty. */
  readonly root: Kept | undefined
  /** @throws DocumentTooComplex when a bound cut short what was kept for this use. */
  check(use: Use): void
}

export type Scanner = {
  /** @throws NotJson @throws DocumentTooComplex */
  write(piece: Uint8Array): void
  /** @throws NotJson */
  end(): Scan
}

/** Buffer of the tokenizer for strings and numbers, as its documentation advises, bytes. */
const TOKEN_BUFFER_BYTES = 64 * 1024
const UNKNOWN_BIT = 1 << USES.indexOf('Unknown')

/**
 * Whether links are searched for by name in a document of an unknown kind: not here; here; only in objects with the
 * blocks of a chunk, since these are the items of an array that may be extracted values; here, but below a name that is
 * too long for a pointer.
 */
type ByName = 'no' | 'yes' | 'in chunks' | 'too long'

type Frame = {
  readonly isArray: boolean
  /** The member or index that the next value belongs to. */
  at: string | number
  readonly plan: Plan | null
  readonly byName: ByName
  kept: KeptContainer | null
  size: number
  /** The members of an extracted value with its citations. */
  hasValue: boolean
  hasCitations: boolean
}

/** What may come next. */
type Expecting = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end' | 'nothing'

export function createScanner(role: Role): Scanner {
  const byName =
    role === 'job'
      ? 'below result'
      : role.startsWith('Unknown.') && role !== 'Unknown.values'
        ? 'everywhere'
        : 'nowhere'
  const budgets = USES.map(createBudget)
  const stack: Frame[] = []
  let root: Kept | undefined
  let expecting: Expecting = 'value'
  let bytes = 0
  let lastToken = 0

  const tokenizer = new Tokenizer({ stringBufferSize: TOKEN_BUFFER_BYTES, numberBufferSize: TOKEN_BUFFER_BYTES })
  tokenizer.onToken = ({ token, value, offset }) => {
    lastToken = offset
    switch (token) {
      case TokenType.LEFT_BRACE:
      case TokenType.LEFT_BRACKET:
        return open(token === TokenType.LEFT_BRACKET)
      case TokenType.RIGHT_BRACE:
      case TokenType.RIGHT_BRACKET:
        return close(token === TokenType.RIGHT_BRACKET)
      case TokenType.COLON:
        expect(':')
        expecting = 'value'
        return
      case TokenType.COMMA: {
        expect(', or end')
        const frame = stack.at(-1)
        if (!frame) throw notJson('a comma outside of any array or object')
        if (frame.isArray) frame.at = (frame.at as number) + 1
        expecting = frame.isArray ? 'value' : 'name'
        return
      }
      case TokenType.STRING:
        if (expecting === 'name' || expecting === 'name or }') return name(value as string)
        return scalar(value as string)
      default:
        return scalar(value as number | boolean | null)
    }
  }
  tokenizer.onError = (error) => {
    if (error instanceof NotJson || error instanceof DocumentTooComplex) throw error
    throw notJson(error.message)
  }

  function notJson(message: string): NotJson {
    return new NotJson(`${message} (after byte ${Math.max(lastToken, 0)})`)
  }

  function expect(...what: Expecting[]): void {
    if (!what.includes(expecting)) throw notJson(`expected ${expecting}`)
  }

  function name(value: string): void {
    const frame = stack.at(-1)!
    frame.at = value
    // The last of equal names counts.
    if (!frame.kept?.members.delete(value)) frame.size++
    if (frame.kept) frame.kept.size = frame.size
    if (frame.byName !== 'no') {
      frame.hasValue ||= value === 'value'
      frame.hasCitations ||= value === 'citations'
    }
    expecting = ':'
  }

  /** Counts the items of an array, kept or not. */
  function count(): void {
    const frame = stack.at(-1)
    if (!frame?.isArray) return
    frame.size = (frame.at as number) + 1
    if (frame.kept) frame.kept.size = frame.size
  }

  function open(isArray: boolean): void {
    expect('value', 'value or ]')
    count()
    if (stack.length >= MAX_DEPTH) throw new DocumentTooComplex('MAX_DEPTH', `nested deeper than ${MAX_DEPTH}`)
    const plan = planHere()
    const frame: Frame = {
      isArray,
      at: isArray ? 0 : '',
      plan,
      byName: byNameHere(isArray),
      kept: null,
      size: 0,
      hasValue: false,
      hasCitations: false,
    }
    if (plan?.keep && plan.keep !== 'link' && spend(plan.uses, 0)) {
      frame.kept = { isArray, members: new Map(), size: 0 }
      put(frame.kept)
    }
    stack.push(frame)
    expecting = isArray ? 'value or ]' : 'name or }'
  }

  function close(isArray: boolean): void {
    if (isArray) expect('value or ]', ', or end')
    else expect('name or }', ', or end')
    const frame = stack.pop()
    if (frame?.isArray !== isArray) throw notJson('brackets do not match')
    // An extracted value: links found in it by name are data.
    if (frame.kept && frame.plan === null && frame.hasValue && frame.hasCitations) {
      const parent = stack.at(-1)!
      parent.kept?.members.delete(parent.at)
    }
    expecting = stack.length === 0 ? 'nothing' : ', or end'
  }

  function scalar(value: string | number | boolean | null): void {
    expect('value', 'value or ]')
    expecting = stack.length === 0 ? 'nothing' : ', or end'
    count()
    const plan = planHere()
    const isText = typeof value === 'string'
    if (plan?.keep === 'text' || (plan?.keep === 'link' && isWebUrl(value))) {
      if (spend(plan.uses, isText ? value.length : 0, plan.keep === 'link')) put(value)
    } else if (plan?.keep === 'shape') {
      if (spend(plan.uses, 0)) put(isText ? '' : value)
    } else if (isText) scalarByName(value)
  }

  /** Keeps a link of an unknown kind. */
  function scalarByName(value: string): void {
    const frame = stack.at(-1)
    if (!frame || (frame.byName !== 'yes' && frame.byName !== 'too long')) return
    const isNamed = frame.isArray
      ? UNKNOWN.linkArrays.has(String(stack.at(-2)?.at))
      : UNKNOWN.linkNames.has(frame.at as string)
    if (!isNamed || !isWebUrl(value)) return
    if (frame.byName === 'too long')
      budgets[USES.indexOf('Unknown')]!.break(
        'MAX_NAME_CHARS',
        `a name longer than ${MAX_NAME_CHARS} characters above a link`,
      )
    if (spend(UNKNOWN_BIT, value.length, true)) put(value)
  }

  function planHere(): Plan | null {
    const frame = stack.at(-1)
    if (!frame) return planFor(role)
    if (!frame.plan) return null
    return (frame.isArray ? frame.plan.items : frame.plan.names.get(frame.at as string)) ?? null
  }

  /** Whether links are searched for by name within the container that opens now. */
  function byNameHere(isArray: boolean): ByName {
    const frame = stack.at(-1)
    if (!frame) return byName === 'everywhere' ? (isArray ? 'in chunks' : 'yes') : 'no'
    if (byName === 'below result' && stack.length === 1)
      return frame.at === 'result' ? (isArray ? 'in chunks' : 'yes') : 'no'
    if (frame.byName === 'no' || frame.byName === 'too long') return frame.byName
    if (frame.isArray) return frame.byName
    const member = frame.at as string
    if (frame.byName === 'in chunks') return member === UNKNOWN.chunkMember ? 'yes' : 'no'
    if (UNKNOWN.dataNames.has(member)) return 'no'
    if (isArray && isResult()) return 'in chunks'
    return member.length > MAX_NAME_CHARS ? 'too long' : 'yes'
  }

  /** Whether the current member is a whole result: `/result/result` of an answer, `/result` of a response. */
  function isResult(): boolean {
    return stack.length === (byName === 'everywhere' ? 1 : 2) && stack.every(({ at }) => at === 'result')
  }

  /** Whether one of these uses can still keep something. */
  function spend(uses: number, text: number, isLink = false): boolean {
    let possible = false
    for (let use = 0; use < budgets.length; use++) {
      if ((uses & (1 << use)) === 0) continue
      const budget = budgets[use]!
      budget.spend(text, isLink)
      possible ||= budget.broken === null
    }
    return possible
  }

  /** Keeps a value at its position, with the containers around it. */
  function put(value: Kept): void {
    if (stack.length === 0) {
      root = value
      return
    }
    let depth = stack.length - 1
    let below = value
    for (; depth >= 0; depth--) {
      const frame = stack[depth]!
      const known = frame.kept
      frame.kept ??= { isArray: frame.isArray, members: new Map(), size: frame.size }
      frame.kept.members.set(frame.at, below)
      if (known) return
      spend(frame.plan?.uses || UNKNOWN_BIT, String(frame.at).length)
      below = frame.kept
    }
    root = below
  }

  return {
    write(piece) {
      tokenizer.write(piece)
      bytes += piece.byteLength
      // The tokenizer does not report the size of its buffer; it holds at least the bytes since its last token.
      if (bytes - lastToken > MAX_TOKEN_BYTES)
        throw new DocumentTooComplex('MAX_TOKEN_BYTES', `a value of more than ${MAX_TOKEN_BYTES} bytes`)
    },
    end() {
      if (!tokenizer.isEnded) tokenizer.end()
      // Only whitespace, and perhaps a byte order mark.
      const isEmpty = expecting === 'value' && stack.length === 0
      if (expecting !== 'nothing' && !isEmpty) throw notJson('the document is truncated')
      return { root, check }
    },
  }

  function check(use: Use): void {
    const broken = budgets[USES.indexOf(use)]!.broken ?? budgets[USES.indexOf('Common')]!.broken
    if (broken) throw broken
  }
}

/** Leading spaces are not part of a URL. */
export function isWebUrl(value: unknown): value is string {
  return typeof value === 'string' && /^\s*https?:/i.test(value)
}
