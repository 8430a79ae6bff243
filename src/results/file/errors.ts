import { ResultsUnavailable } from '../results.ts'

const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])
/** This process is out of descriptors, or the system of something like them: it passes, and says nothing of the store. */
const BUSY: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EAGAIN'])

/** Turns the file system's errors into ResultsUnavailable. */
export async function guarded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    // Only a system call's error is the file system's.
    const { code, syscall, message } = error as NodeJS.ErrnoException
    if (error instanceof ResultsUnavailable || code === undefined || syscall === undefined) throw error
    throw new ResultsUnavailable(NO_ROOM.has(code) ? 'disk' : BUSY.has(code) ? 'busy' : 'results', message)
  }
}

/** Null for what is not there. */
export function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
  throw error
}
