import { Tokenizer, TokenType } from '@streamparser/json'
import { NotJson } from '../document-thread.ts'

/**
 * Reads a JSON document as a stream, in bounded memory, and keeps what the worker needs of it: the outline (scalars and
 * shapes near the top) and every string that might be a link to something that expires. Whether one is, depends on
 * where it stands, which is known only at the end: see places.ts.
 */
export type Scan = {
  /** What stands at the pointers of OUTLINE. */
  readonly outline: ReadonlyMap<string, Outlined>
  readonly links: readonly Link[]
}

/** `path` holds names and array indexes. `wrapped`: the url of a `{type: "url", url, result_id?}`. */
export type Link = { readonly path: readonly (string | number)[]; readonly url: string; readonly wrapped: boolean }

/** A scalar, or what kind of container it is. */
export type Outlined = string | number | boolean | null | { readonly container: 'object' | 'array' }

/** All that is asked of a job's answer: how it ended, and what tells its kind. */
const OUTLINE: ReadonlySet<string> = new Set([
  '',
  '/status',
  '/type',
  '/reason',
  '/error/message',
  '/result/response_type',
  '/result/document_url',
  '/result/duration',
  '/result/citations',
  '/result/usage/num_fields',
  '/result/result/category',
  '/result/result/chunks',
  '/result/result/extract',
  '/result/result/parse',
  '/result/result/section_mapping',
  '/result/result/split',
  '/result/result/splits',
  '/result/result/type',
])
const OUTLINE_DEPTH = 3
/** Nothing that Reducto makes is nested deeper, and pointers would grow with every level. */
const DEEPEST = 512
/** Names of members that hold links, FACTS: pdf of a parse, edited document, image of a block, page image. */
const LINK_NAMES: ReadonlySet<string> = new Set(['pdf_url', 'document_url', 'image_url', 'page_image_url'])
/** The name of an array of links. */
const LINK_ARRAY = 'chart_data'
/** Buffer of the tokenizer for strings and numbers, as its documentation advises. */
const BUFFER = 64 * 1024

type Frame = {
  readonly isArray: boolean
  /** The member or index that the next value belongs to. */
  at: string | number
  /** For `{type: "url", …}`: its url while nothing else is seen in the object. */
  type: string | null
  url: string | null
  other: boolean
}

/** What may come next. */
type Expecting = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end' | 'nothing'

/** With `linksWanted` off only the outline is kept: in extracted values nothing is a link. */
export function createScanner({ linksWanted = true } = {}) {
  const outline = new Map<string, Outlined>()
  const links: Link[] = []
  const stack: Frame[] = []
  let expecting: Expecting = 'value'
  let begun = false

  const tokenizer = new Tokenizer({ stringBufferSize: BUFFER, numberBufferSize: BUFFER })
  tokenizer.onToken = ({ token, value }) => {
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
        if (!frame) throw new NotJson('a comma outside of any array or object')
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
    throw new NotJson(error.message)
  }

  function expect(...what: Expecting[]): void {
    if (!what.includes(expecting)) throw new NotJson(`expected ${expecting}`)
  }

  function name(value: string): void {
    stack.at(-1)!.at = value
    expecting = ':'
  }

  function open(isArray: boolean): void {
    expect('value', 'value or ]')
    note({ container: isArray ? 'array' : 'object' })
    if (stack.length >= DEEPEST) throw new NotJson(`nested deeper than ${DEEPEST}`)
    const parent = stack.at(-1)
    if (parent && !parent.isArray) parent.other = true
    stack.push({ isArray, at: isArray ? 0 : '', type: null, url: null, other: false })
    expecting = isArray ? 'value or ]' : 'name or }'
  }

  function close(isArray: boolean): void {
    if (isArray) expect('value or ]', ', or end')
    else expect('name or }', ', or end')
    const frame = stack.pop()
    if (frame?.isArray !== isArray) throw new NotJson('brackets do not match')
    if (linksWanted && frame.type === 'url' && frame.url !== null && !frame.other)
      links.push({ path: [...stack.map(({ at }) => at), 'url'], url: frame.url, wrapped: true })
    expecting = stack.length === 0 ? 'nothing' : ', or end'
  }

  function scalar(value: string | number | boolean | null): void {
    expect('value', 'value or ]')
    expecting = stack.length === 0 ? 'nothing' : ', or end'
    note(value)
    const frame = stack.at(-1)
    if (!frame) return
    if (!frame.isArray) {
      if (frame.at === 'type' && typeof value === 'string') frame.type = value
      else if (frame.at === 'url' && typeof value === 'string') frame.url = value
      else if (frame.at !== 'result_id') frame.other = true
    }
    if (!linksWanted || typeof value !== 'string') return
    const holder = frame.isArray ? stack.at(-2)?.at : frame.at
    const named = frame.isArray ? holder === LINK_ARRAY : LINK_NAMES.has(holder as string)
    if (named && isWebUrl(value)) links.push({ path: stack.map(({ at }) => at), url: value, wrapped: false })
  }

  function note(value: Outlined): void {
    if (stack.length > OUTLINE_DEPTH || stack.some((frame) => frame.isArray)) return
    const pointer = pointerOf(stack.map(({ at }) => at))
    if (OUTLINE.has(pointer)) outline.set(pointer, value)
  }

  return {
    /** @throws NotJson */
    write(chunk: Uint8Array): void {
      // The tokenizer passes over a byte order mark, which JSON.parse refuses.
      if (!begun && chunk[0] === 0xef) throw new NotJson('begins with a byte order mark')
      begun ||= chunk.byteLength > 0
      tokenizer.write(chunk)
    },
    /** @throws NotJson */
    end(): Scan {
      if (!tokenizer.isEnded) tokenizer.end()
      if (expecting !== 'nothing') throw new NotJson('the document breaks off')
      return { outline, links }
    },
  }
}

/** RFC 6901. */
export function pointerOf(path: readonly (string | number)[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

function isWebUrl(value: string): boolean {
  return /^https?:\/\//i.test(value)
}
