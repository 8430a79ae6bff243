import type { Log } from './log.ts'

/** Tells when the index of search cannot be kept up to date, and when it can again. Search goes on meanwhile, more slowly. */
export function createSearchLog(log: Log): (state: { readonly trouble: string | null }) => void {
  let last: string | null = null
  return ({ trouble }) => {
    if (trouble === last) return
    if (trouble !== null)
      log.warn({ search: trouble }, 'the index of search is not kept up to date; search is slower until it is')
    else log.info('the index of search is kept up to date again')
    last = trouble
  }
}
