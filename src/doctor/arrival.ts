import { formatBytes } from '../units.ts'
import { type Item, problem } from './finding.ts'
import { digestOf, type Echo, type Probed } from './probe.ts'

/** What the way changed about a delivery; null when it arrived byte for byte, and with its headers. */
export function changeOf({ sent, echo }: Probed & { readonly echo: Echo }, url: URL): Item | null {
  const names = Object.keys(sent.headers)
  const lost = names.filter((name) => !echo.headerNames.includes(name))
  if (lost.length > 0)
    return problem(
      `${url.href}: ${lost.join(', ')} did not arrive: something in front removes ${lost.length === 1 ? 'it' : 'them'}`,
      'let the svix-* headers pass as they are',
    )
  const added = echo.headerNames.filter((name) => /^webhook-(id|timestamp|signature)$/.test(name))
  if (added.length > 0)
    return problem(
      `${url.href}: ${added.join(', ')} arrived, which were not sent`,
      'something in front adds headers: stop it',
    )
  const changed = names.filter((name) => echo.headers[name] !== sent.headers[name])
  if (changed.length > 0)
    return problem(
      `${url.href}: ${changed.join(', ')} arrived changed`,
      'something in front rewrites headers: let them pass',
    )
  return bodyChange(sent.body, echo, url)
}

function bodyChange(body: string, echo: Echo, url: URL): Item | null {
  if (echo.sha256 === digestOf(body)) return null
  const sizes = `${formatBytes(Buffer.byteLength(body))} were sent, ${formatBytes(echo.bytes)} arrived`
  return problem(
    `${url.href}: the body arrived changed (${howChanged(body, echo)}; ${sizes}), so that no signature is right`,
    'something in front parses or rewrites bodies: let them pass as they are',
  )
}

function howChanged(body: string, { sha256, bytes }: Echo): string {
  if (bytes === 0) return 'empty'
  if (sha256 === digestOf(JSON.stringify(JSON.parse(body)))) return 'parsed, and written anew'
  if (sha256 === digestOf(body.trim())) return 'without its spaces at the ends'
  if (bytes < Buffer.byteLength(body) && body.length > 10_000) return 'cut off or compressed'
  return 'other bytes'
}
