import { closeSync, openSync } from 'node:fs'

/**
 * Makes an empty file for this process's user alone, if there is none: SQLite would make it as the umask says, which in an
 * app is the app's. What SQLite makes beside it (`-wal`, `-shm`) gets the same mode. A file that is there is not opened:
 * closing it would drop the locks that this process has on it. What is wrong with the folder is for SQLite to tell.
 */
export function ensurePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch {
    // It is there, or SQLite cannot make it either.
  }
}
