/** How long the inbox takes, told to whoever watches. Called on its own way: neither throws nor waits. */
export type InboxWatch = {
  /** A transaction is over. `rows`: the changes that shared it; `failed`: as a whole. */
  readonly onTransaction?: (transaction: {
    readonly rows: number
    readonly ms: number
    readonly failed: boolean
  }) => void
  /** A question was answered, ms. */
  readonly onRead?: (question: string, ms: number) => void
}
