import { homedir } from 'node:os'

/**
 * The AWS SDK looks for ~/.aws, also when it needs nothing from there. Under a user id without an entry in /etc/passwd,
 * as containers run with, and without HOME, that throws, once in a promise that nobody holds, which ends the process
 * (@smithy/core 3). A home that is not there is one without settings.
 */
export function ensureHome(): void {
  try {
    homedir()
  } catch {
    process.env.HOME = '/nonexistent'
  }
}
