/** The document is not JSON, or it breaks off. The message says where. */
export class NotJson extends Error {
  override readonly name = 'NotJson'
}

/** The document breaks one of the bounds of bounds.ts, which is named in the message. Trying again cannot help. */
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

/** The document ended the thread that read it, and no other document was on that thread: this one is to blame. */
export class DocumentCrashed extends Error {
  override readonly name = 'DocumentCrashed'
}

/**
 * The thread that read the document ended, and another document may have been the cause, or it was closed. Trying again
 * is worth it: after such an end every document is read on a thread of its own, so that a culprit is found.
 */
export class ReadInterrupted extends Error {
  override readonly name = 'ReadInterrupted'
}

/** An accessor of a saved answer cannot give what it is asked for, now or later. The message says what to do instead. */
export class NotAnswerable extends Error {
  override readonly name: string = 'NotAnswerable'
}
