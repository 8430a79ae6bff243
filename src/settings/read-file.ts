import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs'

/** What is at the path is not a file that can be read to its end. The message continues `it is `. */
export class NotAFile extends Error {
  override readonly name = 'NotAFile'
}

/**
 * Reads a file of at most `maxBytes`. Never waits for another program: a named pipe, a socket or a device is refused
 * before it is opened, and also if it replaces the file meanwhile.
 * @throws NotAFile, or an error of `node:fs`
 */
export function readFileBounded(path: string, maxBytes: number): Buffer {
  checkKind(statSync(path))
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    checkKind(fstatSync(file))
    const buffer = Buffer.alloc(maxBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(file, buffer, length, buffer.length - length, null)
    if (length > maxBytes) throw new NotAFile(`larger than ${maxBytes / 1024} KiB: not a file of this kind (EFBIG)`)
    return buffer.subarray(0, length)
  } finally {
    closeSync(file)
  }
}

function checkKind(found: Stats): void {
  if (found.isFile()) return
  if (found.isDirectory()) throw new NotAFile('a folder, not a file (EISDIR)')
  if (found.isFIFO()) throw new NotAFile('a pipe, which may never end: use a file')
  if (found.isSocket()) throw new NotAFile('a socket, not a file')
  throw new NotAFile('a device, not a file')
}
