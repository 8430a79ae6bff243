import type { RequestHandler } from 'express'
import helmet from 'helmet'

const NONE = ["'none'"]
const SELF = ["'self'"]

const protect = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      'default-src': NONE,
      'script-src': SELF,
      'style-src': SELF,
      'img-src': SELF,
      'font-src': SELF,
      'connect-src': SELF,
      'form-action': SELF,
      'base-uri': NONE,
      'frame-ancestors': NONE,
      'require-trusted-types-for': ["'script'"],
      'trusted-types': ['operator'],
    },
  },
  // Speaks for the whole host, which is the proxy's.
  strictTransportSecurity: false,
  // Without a referrer browsers send `Origin: null`, by which a form of ours would not be known.
  referrerPolicy: { policy: 'same-origin' },
  xFrameOptions: { action: 'deny' },
})

/** What every answer for operators has. None may be stored, or found by a search engine. */
export const securityHeaders: RequestHandler = (request, response, next) => {
  response.setHeader('cache-control', 'no-store')
  response.setHeader('x-robots-tag', 'noindex')
  protect(request, response, next)
}
