import { Tokenizer, TokenParser } from '@streamparser/json'
import { createDocumentThread, type DocumentThread, NotJson, type Reader, serveDocuments } from '../document-thread.ts'

/** Something found on a walk: a chunk, or a link to a result that was saved elsewhere. */
export type Found = { readonly pointer: string; readonly value: unknown }

/** Walks a document: yields the chunks in it, and the links where chunks could be, in the order of the document. */
export type Walk = DocumentThread<null, readonly Found[], readonly Found[]>

/** Walks documents; large ones on a thread of its own. */
export function createWalkThread(): Walk {
  return createDocumentThread(import.meta.url, createReader)
}

/** Where the parse of an answer may begin: the answer itself, a response, its result; alone or in a pipeline. */
const ROOTS = ['', 'result.', 'result.result.']
const PARSES = ['', 'parse.', 'parse.result.', 'parse.*.', 'parse.*.result.']
const IN_OBJECT = ROOTS.flatMap((root) =>
  PARSES.flatMap((parse) => [`$.${root}${parse}chunks.*`, `$.${root}${parse}url`]),
)
/** A downloaded parse can also be a bare array of chunks. */
const IN_ARRAY = ['$.*']

/** As in scan.ts: the tokenizer's documentation advises one for strings and numbers. */
const BUFFER = 64 * 1024

function createReader(): Reader<readonly Found[], readonly Found[]> {
  let found: Found[] = []
  let parser: TokenParser | null = null
  const tokenizer = new Tokenizer({ stringBufferSize: BUFFER, numberBufferSize: BUFFER })
  tokenizer.onError = (error) => {
    throw new NotJson(error.message)
  }

  /** Nothing is kept but what is asked for. */
  function start(paths: string[]): void {
    parser = new TokenParser({ paths, keepStack: false })
    tokenizer.onToken = parser.write.bind(parser)
    parser.onError = (error) => {
      throw new NotJson(error.message)
    }
    parser.onValue = ({ value, key, stack }) => {
      const path = [...stack.slice(1).map((frame) => frame.key), key]
      found.push({ pointer: path.map((step) => `/${String(step)}`).join(''), value })
    }
  }

  function take(): readonly Found[] {
    const taken = found
    found = []
    return taken
  }

  return {
    write(piece) {
      if (!parser) {
        const first = piece.find((byte) => byte > SPACE)
        if (first === undefined) return []
        start(first === OPEN_BRACKET ? IN_ARRAY : IN_OBJECT)
      }
      tokenizer.write(piece)
      return take()
    },
    end() {
      if (!parser?.isEnded) throw new NotJson('the document breaks off')
      return take()
    },
  }
}

const SPACE = 0x20
const OPEN_BRACKET = 0x5b

serveDocuments(import.meta.url, createReader)
