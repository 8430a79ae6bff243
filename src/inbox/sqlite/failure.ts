/** An SQLite error in the form sent to the main thread. `code` is SQLite's primary result code; 0 for other errors. */
export type Failure = { readonly code: number; readonly message: string }

/** Converts an error of SQLite, or of the code around it. */
export function failureOf(error: unknown): Failure {
  const { errcode, message } = error as { errcode?: number; message: string }
  return { code: (errcode ?? 0) & 0xff, message }
}
