import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { whyNoFile, whyNoFolder } from '../permissions.ts'
import type { Config } from './config.ts'

/** Problems of the storage settings on this machine: whether this process may write there. One line each. */
export function storageProblems({ database, results }: Pick<Config, 'database' | 'results'>): readonly string[] {
  return [databaseProblem(database), resultsProblem(results)].filter((problem) => problem !== null)
}

/** SQLite also writes files beside the database. None may be opened here: closing one would release SQLite's locks. */
function databaseProblem(database: Config['database']): string | null {
  if (database.kind === 'postgres') return certificateProblem(database.url)
  const { path } = database
  const files = ['', '-wal', '-shm', '.lock'].map((end) => `${path}${end}`)
  const why = [whyNoFolder(dirname(path)), ...files.map((file) => whyNoFile(file))].find((found) => found !== null)
  return why ? `DATABASE_URL: ${why}` : null
}

/** The files of certificates that a URL names must be readable. */
function certificateProblem(url: string): string | null {
  const options = new URLSearchParams(url.split('?')[1])
  for (const name of ['sslrootcert', 'sslcert', 'sslkey']) {
    const path = options.get(name)
    if (!path || path === 'system') continue
    try {
      accessSync(path, constants.R_OK)
    } catch (error) {
      return `DATABASE_URL: ${name} names ${path}, which cannot be read (${(error as NodeJS.ErrnoException).code})`
    }
  }
  return null
}

function resultsProblem(results: Config['results']): string | null {
  if (results.kind !== 'file') return null
  const why = whyNoFolder(results.path) ?? whyNoFolder(join(results.path, '.tmp'))
  return why ? `RESULTS_URL: ${why}` : null
}

/**
 * Null if the AWS SDK finds a home folder, or is not used: it looks for ~/.aws, and fails for a user without a home.
 */
export function homeProblem(results: Config['results'], home: () => string = homedir): string | null {
  if (results.kind !== 's3') return null
  try {
    home()
    return null
  } catch {
    return 'RESULTS_URL: the AWS SDK looks for a home folder, and the user of this process has none: set HOME'
  }
}
