let isBroken = false

/** Whether the reader of the output has left, which is its good right: `receiver jobs list | head`. */
export function hasReaderLeft(): boolean {
  return isBroken
}

/** Calls `end` when the reader of the output leaves: nobody is there to read an error. */
export function onReaderLeft(end: () => void): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code !== 'EPIPE') return
      isBroken = true
      end()
    })
}
