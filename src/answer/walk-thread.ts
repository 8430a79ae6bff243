import { Tokenizer, TokenParser, TokenType } from '@streamparser/json'
import { MAX_DEPTH, MAX_TOKEN_BYTES } from './bounds.ts'
import { createDocumentThread, type DocumentParser, serveDocuments } from './document-thread.ts'
import { DocumentTooComplex, NotJson } from './errors.ts'
import { KIND_NAMES, KINDS, partsWithChunks } from './kinds.ts'

/** A finding of a walk: a chunk, or a link to a result that was saved elsewhere. */
type Found = { readonly pointer: string; readonly value: unknown }

/** Walks documents; large ones on threads. */
export type Walk = {
  /**
   * Yields the chunks in a document and the links where chunks could be, in document order. The next piece is read on
   * demand, so that memory stays bounded.
   * @throws NotJson @throws DocumentTooComplex @throws DocumentCrashed @throws ReadInterrupted, or what the source
   * throws
   */
  read(source: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Found[], void, void>
  close(): Promise<void>
}

export function createWalkThread(): Walk {
  const thread = createDocumentThread<null, Found>(import.meta.url, createParser)

  async function* read(source: AsyncIterable<Uint8Array>): AsyncGenerator<readonly Found[], void, void> {
    const document = thread.open(null)
    try {
      for await (const piece of source) yield await document.write(piece)
      yield* document.end()
    } finally {
      document.drop()
    }
  }

  return { read, close: thread.close }
}

/** Where a response may begin: the document itself, a response's result, an answer's result. */
const ROOTS = ['', 'result.', 'result.result.']
/** Where a parse may be: at a root, or in a part of a pipeline, alone or in a list. */
const PARSES = ['', ...KIND_NAMES.flatMap((kind) => Object.keys(partsWithChunks(kind)))].flatMap((part) =>
  part === '' ? [''] : [`${part}.`, `${part}.result.`, `${part}.*.`, `${part}.*.result.`],
)
const CHUNKS = [...new Set(KIND_NAMES.flatMap((kind) => KINDS[kind].chunks ?? []))]
const IN_OBJECT = ROOTS.flatMap((root) =>
  PARSES.flatMap((parse) => [`$.${root}${parse}url`, ...CHUNKS.map((chunks) => `$.${root}${parse}${chunks}.*`)]),
)
/** A downloaded parse can also be a bare array of chunks. */
const IN_ARRAY = ['$.*']

/** As in scan.ts: the size that the tokenizer's documentation advises for strings and numbers, bytes. */
const TOKEN_BUFFER_BYTES = 64 * 1024
const OPENING: ReadonlySet<TokenType> = new Set([TokenType.LEFT_BRACE, TokenType.LEFT_BRACKET])
const CLOSING: ReadonlySet<TokenType> = new Set([TokenType.RIGHT_BRACE, TokenType.RIGHT_BRACKET])

function createParser(): DocumentParser<Found> {
  let found: Found[] = []
  let parser: TokenParser | null = null
  let depth = 0
  let bytes = 0
  let lastToken = 0
  const tokenizer = new Tokenizer({ stringBufferSize: TOKEN_BUFFER_BYTES, numberBufferSize: TOKEN_BUFFER_BYTES })
  const fail = (error: Error) => {
    throw error instanceof DocumentTooComplex || error instanceof NotJson ? error : new NotJson(error.message)
  }
  tokenizer.onError = fail
  tokenizer.onToken = (token) => {
    lastToken = token.offset
    parser ??= start(token.token === TokenType.LEFT_BRACKET ? IN_ARRAY : IN_OBJECT)
    if (OPENING.has(token.token)) depth++
    if (CLOSING.has(token.token)) depth--
    if (depth > MAX_DEPTH) throw new DocumentTooComplex('MAX_DEPTH', `nested deeper than ${MAX_DEPTH}`)
    parser.write(token)
  }

  /** Keeps only what is asked for. */
  function start(paths: string[]): TokenParser {
    const started = new TokenParser({ paths, keepStack: false })
    started.onError = fail
    started.onValue = ({ value, key, stack }) => {
      const path = [...stack.slice(1).map((frame) => frame.key), key]
      found.push({ pointer: path.map((step) => `/${String(step)}`).join(''), value })
    }
    return started
  }

  function take(): readonly Found[] {
    const taken = found
    found = []
    return taken
  }

  return {
    write(piece) {
      tokenizer.write(piece)
      bytes += piece.byteLength
      if (bytes - lastToken > MAX_TOKEN_BYTES)
        throw new DocumentTooComplex('MAX_TOKEN_BYTES', `a value of more than ${MAX_TOKEN_BYTES} bytes`)
      return take()
    },
    *end() {
      if (!parser?.isEnded) throw new NotJson('the document is truncated')
      yield take()
    },
  }
}

serveDocuments(import.meta.url, createParser)
