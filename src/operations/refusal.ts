/** Why an operation did nothing. `code` is stable; `message` says what to do. */
export type Refusal = {
  readonly is: 'refused'
  readonly code: 'unknown' | 'ambiguous' | 'no_handler' | 'changed' | 'invalid'
  readonly message: string
}

export function refuse(code: Refusal['code'], message: string): Refusal {
  return { is: 'refused', code, message }
}

/** One thing of many that was left alone, and why. */
export type Skipped = { readonly id: string; readonly why: string }
