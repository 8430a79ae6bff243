import { adviceOnFailure } from './advice.ts'
import { CallFailed } from './call.ts'
import { handshake, hostOf, lookup, portOf, reach } from './connect.ts'
import type { Check } from './context.ts'
import { findingOf, ok, problem, Skip } from './finding.ts'

/**
 * Whether FORWARD_URL can be called. Nothing is posted: a service that does not look at signatures would take a test for a
 * result. `handle --forward` posts one when a person asks for it.
 */
export const forward: Check = {
  name: 'forward',
  group: 'here',
  async run({ settings }, signal) {
    const choice = settings.get('handler')
    if (choice?.kind !== 'forward') throw new Skip('FORWARD_URL is not set')
    const url = new URL(choice.url)
    const host = hostOf(url)
    const proxy = settings.get('proxy')
    if (url.protocol === 'https:' ? proxy.https : proxy.http)
      throw new Skip(`${host} is called through a proxy: see proxies`, TRY)
    try {
      await lookup(host, signal)
      await reach(host, portOf(url), signal)
      const refusal = url.protocol === 'https:' ? (await handshake(url, signal)).refusal : null
      if (refusal !== null)
        return findingOf([problem(`the certificate of ${host} is refused (${refusal})`, adviceOnFailure(refusal))])
      return findingOf([
        ok(`${host} takes connections${url.protocol === 'https:' ? ', and its certificate is valid' : ''}`),
      ])
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error
      return findingOf([problem(`FORWARD_URL, ${host}: ${error.message} (${error.code})`, error.cure)])
    }
  },
}

const TRY = '`handle --forward URL` posts a made-up result to it'
