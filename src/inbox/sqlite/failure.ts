/** An SQLite error, as it crosses to the main thread. `code` is SQLite's primary result code; 0 for other errors. */
export type Failure = { readonly code: number; readonly message: string }

/** What is told of an error that SQLite, or the code around it, has thrown. */
export function failureOf(error: unknown): Failure {
  const { errcode, message } = error as { errcode?: number; message: string }
  return { code: (errcode ?? 0) & 0xff, message }
}
