import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Every piece that the network brings has memory of its own outside of V8's heap, and V8 lets 64 MiB of such garbage
 * gather before it looks. A download asks for a look at the young objects (about a millisecond) each so many bytes.
 */
export const GARBAGE_EVERY = 8 * 1024 * 1024

let collect: ((options: { type: 'minor' }) => void) | null = null

/** Frees the memory of pieces that have been written. */
export function freePieces(): void {
  if (!collect) {
    // A context that is made while the flag is set has the function; the service itself gets no global of it.
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc')
    setFlagsFromString('--no-expose-gc')
  }
  collect?.({ type: 'minor' })
}
