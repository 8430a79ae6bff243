import type { DownloadError } from '../download/download.ts'

/** After this many consecutive timeouts a host gets no more requests in this attempt: they would time out too. */
const MAX_TIMEOUTS = 3

/** How the hosts of one attempt's links behave. */
export type Hosts = {
  /** Why links of this host must not be followed now; null when they may be. */
  leftAlone(url: string): string | null
  succeeded(url: string): void
  failed(error: DownloadError): void
  /** The longest pause that a host asked for, ms from now. */
  readonly longestRest: number
  /** Hosts that refused an address, and hosts that served a file. */
  readonly blocked: ReadonlySet<string>
  readonly reached: ReadonlySet<string>
}

export function createHosts(): Hosts {
  const timeouts = new Map<string, number>()
  const resting = new Map<string, number>()
  const blocked = new Set<string>()
  const reached = new Set<string>()

  return {
    leftAlone(url) {
      const host = hostOf(url)
      if ((timeouts.get(host) ?? 0) >= MAX_TIMEOUTS) return `${host} did not answer ${MAX_TIMEOUTS} times in a row`
      return resting.has(host) ? `${host} asked to be left alone for a while` : null
    },
    succeeded(url) {
      timeouts.delete(hostOf(url))
      reached.add(hostOf(url))
    },
    failed({ kind, host, retryAfter }) {
      if (host === null) return
      if (kind === 'timeout') timeouts.set(host, (timeouts.get(host) ?? 0) + 1)
      else timeouts.delete(host)
      if (kind === 'blocked') blocked.add(host)
      if (retryAfter !== undefined) resting.set(host, Math.max(resting.get(host) ?? 0, retryAfter))
    },
    get longestRest() {
      return Math.max(0, ...resting.values())
    },
    blocked,
    reached,
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : ''
}
