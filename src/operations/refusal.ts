/** Why an operation did nothing. `code` is stable; `message` says what to do. */
export type Refusal = {
  readonly is: 'refused'
  readonly code: 'unknown' | 'ambiguous' | 'no_handler' | 'changed' | 'invalid'
  readonly message: string
  /** Of `changed`: how many match now, up to `MAX_BULK`. */
  readonly count?: number
}

export function refuse(code: Refusal['code'], message: string, more: { readonly count?: number } = {}): Refusal {
  return { is: 'refused', code, message, ...more }
}

/** One thing of many that was left alone, and why. */
export type Skipped = { readonly id: string; readonly why: string }
