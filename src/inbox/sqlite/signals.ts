/**
 * What the threads of one inbox tell each other without a message: numbers in shared memory. `batches`: transactions begun so
 * far; `writing`: one is under way; `fault`: the index of search could not be read.
 */
export type Signals = Int32Array<SharedArrayBuffer>

const PLACES = { batches: 0, writing: 1, fault: 2 } as const

export function createSignals(): Signals {
  return new Int32Array(new SharedArrayBuffer(Object.keys(PLACES).length * Int32Array.BYTES_PER_ELEMENT))
}

/** Runs a transaction, and lets the others know. */
export function whileWriting<T>(signals: Signals | null, run: () => T): T {
  if (signals === null) return run()
  Atomics.add(signals, PLACES.batches, 1)
  Atomics.store(signals, PLACES.writing, 1)
  try {
    return run()
  } finally {
    Atomics.store(signals, PLACES.writing, 0)
  }
}

/** How many transactions have begun; null while one is under way. */
export function batchesOf(signals: Signals): number | null {
  return Atomics.load(signals, PLACES.writing) === 1 ? null : Atomics.load(signals, PLACES.batches)
}

export function raise(signals: Signals | null, name: 'fault'): void {
  if (signals !== null) Atomics.store(signals, PLACES[name], 1)
}

/** Whether it was raised since the last call. */
export function take(signals: Signals, name: 'fault'): boolean {
  return Atomics.exchange(signals, PLACES[name], 0) === 1
}
