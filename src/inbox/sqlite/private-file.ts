import { closeSync, openSync } from 'node:fs'

/**
 * Creates an empty file that only this process's user can access, if there is none: SQLite would apply the umask, which
 * in an app is the app's. SQLite gives the files beside it (`-wal`, `-shm`) the same mode. An existing file is not
 * opened: closing it would release the locks that this process has on it. Problems of the folder are left for SQLite to
 * report.
 */
export function ensurePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch {
    // It exists, or SQLite cannot create it either.
  }
}
