/** The document is not JSON, or is truncated. The message says where. */
export class NotJson extends Error {
  override readonly name = 'NotJson'
}

/** The document exceeds one of the bounds in bounds.ts, which the message names. Retrying cannot help. */
export class DocumentTooComplex extends Error {
  override readonly name = 'DocumentTooComplex'
  readonly bound: string
  readonly detail: string
  constructor(bound: string, detail: string) {
    super(`the document is too complex (${bound}): ${detail}`)
    this.bound = bound
    this.detail = detail
  }
}

/** The document crashed the thread that read it, and no other document was on that thread: this one is the cause. */
export class DocumentCrashed extends Error {
  override readonly name = 'DocumentCrashed'
}

/**
 * The thread that read the document ended: another document may be the cause, or the thread was closed. Retrying helps:
 * after such a crash every document is read on a thread of its own, so that the cause is found.
 */
export class ReadInterrupted extends Error {
  override readonly name = 'ReadInterrupted'
}

/**
 * An accessor of a saved answer cannot return what it is asked for, now or later. The message says what to do instead.
 */
export class NotAnswerable extends Error {
  override readonly name: string = 'NotAnswerable'
}
