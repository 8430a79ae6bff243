import { ResultsUnavailable } from '../results.ts'

const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])
/**
 * This process is out of descriptors, or the system is out of a similar resource: the condition passes and says nothing
 * about the store.
 */
const BUSY: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EAGAIN'])

/** Turns the file system's errors into ResultsUnavailable. */
export async function guarded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    // Only errors of system calls come from the file system.
    const { code, syscall, message } = error as NodeJS.ErrnoException
    if (error instanceof ResultsUnavailable || code === undefined || syscall === undefined) throw error
    throw new ResultsUnavailable(NO_ROOM.has(code) ? 'disk' : BUSY.has(code) ? 'busy' : 'results', message)
  }
}

/** Returns null when the file does not exist. */
export function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
  throw error
}
