import { createOutboundFetch } from '../outbound/fetch.ts'
import { createProxySettings } from '../outbound/proxy.ts'
import { type Client, createClient } from '../reducto/client.ts'
import type { Config } from '../settings/config.ts'

/** A client of Reducto for a command, through the proxies of the settings. `timeout`: of one call, ms. */
export function openReducto({ reducto, proxy }: Pick<Config, 'reducto' | 'proxy'>, timeout?: number) {
  const outbound = createOutboundFetch(
    createProxySettings({ httpsProxy: proxy.https, httpProxy: proxy.http, noProxy: proxy.no }),
  )
  const client: Client = createClient({
    ...{ ...reducto, fetch: outbound.fetch },
    ...(timeout === undefined ? {} : { timeout }),
  })
  return { client, [Symbol.asyncDispose]: () => outbound.close() }
}
