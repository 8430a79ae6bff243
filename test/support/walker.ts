import type { Handler } from 'reducto-webhook-receiver'

/** A handler that walks all chunks and tells how many there are. */
const handle: Handler = async (result, { log }) => {
  let chunks = 0
  if (result.status === 'Completed') for await (const _ of result.chunks()) chunks++
  log.info({ chunks }, 'walked')
}

export default handle
