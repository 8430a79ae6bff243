import { type Handler, Permanent } from 'reducto-webhook-receiver'

/** A handler that does as the metadata say. */
const handle: Handler = ({ record }, { log }) => {
  const { refuse } = record.metadata as { refuse?: string }
  if (refuse) throw new Permanent(refuse)
  log.info('handled')
}

export default handle
