import { CallFailed } from './call.ts'
import { hostOf, portOf, reach } from './connect.ts'
import type { Check } from './context.ts'
import { findingOf, type Item, ok, problem } from './finding.ts'

/** The proxies that calls to Reducto, downloads and forwards go through. */
export const proxies: Check = {
  name: 'proxies',
  group: 'here',
  async run(context, signal) {
    const { https, http } = context.settings.get('proxy')
    const given = new Map<string, string[]>()
    for (const [name, url] of [
      ['https://', https],
      ['http://', http],
    ] as const)
      if (url !== null) given.set(url, [...(given.get(url) ?? []), name])
    if (given.size === 0) return findingOf([ok('none are set: calls leave this machine directly')])
    return findingOf(await Promise.all([...given].map(([url, schemes]) => tryProxy(url, schemes, signal))))
  },
}

/** Only the host is named: a proxy's URL has a password. */
async function tryProxy(text: string, schemes: readonly string[], signal: AbortSignal): Promise<Item> {
  const url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  const [host, port] = [hostOf(url), portOf(url)]
  const found = `the proxy for ${schemes.join(' and ')}, ${host} port ${port},`
  try {
    await reach(host, port, signal)
    return ok(`${found} takes connections`)
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error
    return problem(`${found} takes none (${error.code})`, `${error.cure}. HTTPS_PROXY, HTTP_PROXY and NO_PROXY set it`)
  }
}
