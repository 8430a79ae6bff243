import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Fault, Passing } from './proxy.ts'

/** What proxies do to deliveries, the check that must tell it, and in which words. */
export const FAULTS: readonly {
  readonly what: string
  readonly fault: Fault
  readonly check: string
  readonly words: RegExp
}[] = [
  {
    what: 'that writes bodies anew',
    fault: changing((passing) => {
      if (passing.body.length > 0) passing.body = Buffer.from(JSON.stringify(JSON.parse(passing.body.toString())))
    }),
    check: 'delivery',
    words: /parsed, and written anew/,
  },
  {
    what: 'that trims bodies',
    fault: changing((passing) => {
      passing.body = Buffer.from(passing.body.toString().trim())
    }),
    check: 'delivery',
    words: /without its spaces at the ends/,
  },
  {
    what: 'that drops bodies',
    fault: changing((passing) => {
      passing.body = Buffer.alloc(0)
    }),
    check: 'delivery',
    words: /arrived changed \(empty/,
  },
  {
    what: 'that removes a header',
    fault: changing(({ headers }) => {
      delete headers['svix-signature']
    }),
    check: 'delivery',
    words: /svix-signature did not arrive/,
  },
  {
    what: 'that removes all headers of Svix',
    fault: changing(({ headers }) => {
      for (const name of Object.keys(headers)) if (name.startsWith('svix-')) delete headers[name]
    }),
    check: 'delivery',
    words: /svix-id, svix-timestamp, svix-signature did not arrive/,
  },
  {
    what: 'that removes every header that it does not know',
    fault: changing(({ headers }) => {
      for (const name of Object.keys(headers)) if (/^(svix|x)-/.test(name)) delete headers[name]
    }),
    check: 'answer',
    words: /by a receiver, but not by the one with this database/,
  },
  {
    what: 'that changes a header',
    fault: changing(({ headers }) => {
      if (headers['svix-id']) headers['svix-id'] = 'msg_other'
    }),
    check: 'delivery',
    words: /svix-id arrived changed/,
  },
  {
    what: 'that adds a header',
    fault: changing(({ headers }) => {
      headers['webhook-id'] = 'x'
    }),
    check: 'delivery',
    words: /webhook-id arrived, which/,
  },
  {
    what: 'that compresses',
    fault: changing(({ headers, method }) => {
      if (method === 'POST') headers['content-encoding'] = 'gzip'
    }),
    check: 'delivery',
    words: /refused a delivery .* with 415/,
  },
  {
    what: 'that redirects',
    fault: answering((request, response) => {
      response.writeHead(301, { location: `https://other.example${request.url}` }).end()
    }),
    check: 'answer',
    words: /answers 301/,
  },
  {
    what: 'that answers 200 by itself',
    fault: answering((_request, response) => response.writeHead(200).end('OK')),
    check: 'answer',
    words: /something else answers/,
  },
  {
    what: 'that answers POST by itself',
    fault: {
      answer({ method }, response) {
        if (method === 'POST') response.end('OK')
        return method === 'POST'
      },
    },
    check: 'signature',
    words: /something in front answers POSTs/,
  },
  {
    what: 'that turns refusals into 200',
    fault: { status: (status) => (status === 401 ? 200 : status) },
    check: 'signature',
    words: /something in front changes the answers/,
  },
  {
    what: 'that rewrites the path',
    fault: changing((passing) => {
      passing.path = passing.path.replace('/webhook', '/hooks')
    }),
    check: 'answer',
    words: /answers 404/,
  },
  {
    what: 'that leads all endpoints to one',
    fault: changing((passing) => {
      passing.path = '/webhook'
    }),
    check: 'delivery',
    words: /leads to the endpoint default/,
  },
  {
    what: 'that asks for a password',
    fault: answering((_request, response) => response.writeHead(401).end('<html>login</html>')),
    check: 'answer',
    words: /answers 401/,
  },
  {
    what: 'without a service behind',
    fault: answering((_request, response) => response.writeHead(502).end()),
    check: 'answer',
    words: /answers 502/,
  },
]

function changing(change: (passing: Passing) => void): Fault {
  return { change }
}

function answering(answer: (request: IncomingMessage, response: ServerResponse) => void): Fault {
  return {
    answer(request, response) {
      answer(request, response)
      return true
    },
  }
}
