import type { Check } from './context.ts'
import { findingOf, ok, problem, Skip, warning } from './finding.ts'

/** The handler in a thread of its own: what blocks or ends its process is told as what it is. */
export const handler: Check = {
  name: 'handler',
  group: 'here',
  // Loading and one call have HANDLER_TIMEOUT each, of at most five minutes.
  limit: 11 * 60_000,
  async run({ settings, tryHandler, loadHandler, within }) {
    const choice = settings.get('handler')
    if (choice === null)
      throw new Skip('neither HANDLER nor FORWARD_URL is set: results are saved, and handed to nobody')
    if (choice.kind === 'forward') throw new Skip('results are forwarded: see forward')
    const { path } = choice
    if (within) return findingOf([ok(`${path} was loaded when the service started; it was not called`)])
    if (tryHandler === null) {
      const wrong = await loadHandler(path)
      return findingOf([wrong === null ? ok(`${path} can be loaded; it was not called`) : problem(wrong, SEE_HANDLE)])
    }
    const tried = await tryHandler(path)
    if (tried.is === 'failed') return findingOf([problem(tried.message, SEE_HANDLE)])
    if (tried.is === 'taken') return findingOf([ok(`${path} took a made-up result in ${tried.ms} ms`)])
    if (tried.is === 'refused')
      return findingOf([
        warning(`${path} refused a made-up result: ${tried.message}`, 'fine, if it is meant to refuse strangers’ data'),
      ])
    return findingOf([problem(`${path} failed on a made-up result: ${tried.message}`, SEE_HANDLE)])
  },
}

const SEE_HANDLE = 'mend it; `handle FILE --sample extract --watch` calls it after each change'
