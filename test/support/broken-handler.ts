import type { Handler } from 'reducto-webhook-receiver'

/** A handler whose own service is down. */
const handle: Handler = () => {
  throw new Error('the CRM is down')
}

export default handle
