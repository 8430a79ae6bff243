import { type Handler, Permanent } from '../../src/index.ts'

/** A handler that refuses every result, and quotes more than it should. */
const handle: Handler = async () => {
  throw new Permanent('not for us: http://127.0.0.1/alerts?token=quite-a-secret')
}
export default handle
