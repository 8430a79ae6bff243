import { getCACertificates, type PeerCertificate } from 'node:tls'
import { adviceOnFailure } from '../advice.ts'
import { CallFailed } from '../call.ts'
import { handshake, hostOf } from '../connect.ts'
import { type Check, outsideOf } from '../context.ts'
import { findingOf, ok, problem, Skip, warning } from '../finding.ts'

const DAY_MS = 86_400_000
/** Automatic renewal comes 30 days before the end: with less than this left it has failed, days. */
const MIN_DAYS_LEFT = 14

/** The certificate that Svix would see: its chain, its name, and how long it is valid. */
export const certificate: Check = {
  name: 'certificate',
  group: 'outside',
  limit: 30_000,
  async run(context, signal) {
    const outside = outsideOf(context)
    const reached = await outside.reached().catch(() => [])
    if (!reached.some(({ failure }) => failure === null)) throw new Skip('there is no connection: see dns and tcp')
    try {
      const shown = await outside.certificate()
      if (shown === null)
        return findingOf([
          warning('http:// is not encrypted', 'Svix wants https:// in production: put a proxy in front'),
        ])
      const host = hostOf(outside.base)
      if (shown.refusal !== null)
        return findingOf([
          problem(`the certificate of ${host} is refused (${shown.refusal})`, adviceOnFailure(shown.refusal)),
        ])
      const publicly = await handshake(outside.base, signal, getCACertificates('bundled'))
      if (publicly.refusal !== null)
        return findingOf([
          warning(
            `only this machine trusts the certificate of ${host}, because of NODE_EXTRA_CA_CERTS or the like`,
            'Svix does not accept it: use one of a public authority (Let’s Encrypt)',
          ),
          expiry(host, shown.certificate, context.now()),
        ])
      return findingOf([expiry(host, shown.certificate, context.now())])
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error
      return findingOf([problem(`there is no TLS connection: ${error.message} (${error.code})`, error.cure)])
    }
  },
}

function expiry(host: string, { valid_to, issuer }: PeerCertificate, now: number) {
  const days = Math.floor((Date.parse(valid_to) - now) / DAY_MS)
  const found = `the certificate of ${host}, by ${issuer?.O ?? issuer?.CN ?? 'an unnamed authority'}, is valid for ${days} days`
  if (days >= MIN_DAYS_LEFT) return ok(found)
  return warning(found, 'renew it, and see why its renewal has not done so')
}
