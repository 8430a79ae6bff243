import { readFileSync } from 'node:fs'
import autocannon from 'autocannon'

/** The load generator where wrk is not installed. Shares two cores with the server all the same, and is slower. */

const [url = '', file = '', connections = '1', seconds = '1'] = process.argv.slice(2)
const deliveries = readFileSync(file, 'utf8').split('\n')
let index = 0

const result = await autocannon({
  url,
  connections: Number(connections),
  duration: Number(seconds),
  timeout: 15,
  requests: [
    {
      method: 'POST',
      setupRequest(request) {
        const [id = '', timestamp = '', signature = '', body = ''] =
          deliveries[index++ % deliveries.length]!.split('\t')
        const headers = { 'svix-id': id, 'svix-timestamp': timestamp, 'svix-signature': signature }
        return { ...request, headers, body }
      },
    },
  ],
})
const { requests, latency, errors, non2xx } = result
process.stdout.write(
  `${JSON.stringify({ perSecond: requests.average, p50: latency.p50, p99: latency.p99, errors: errors + non2xx })}\n`,
)
