import { homedir } from 'node:os'

/**
 * The AWS SDK looks for ~/.aws even when it needs nothing from there. Under a user id without an entry in /etc/passwd,
 * as in containers, and without HOME, that throws, once in an unhandled promise, which exits the process (@smithy/core
 * 3). A home that does not exist counts as one without settings.
 */
export function ensureHome(): void {
  try {
    homedir()
  } catch {
    process.env.HOME = '/nonexistent'
  }
}
