import { type Handler, Permanent } from 'reducto-webhook-receiver'

/** A handler with the troubles that the metadata name, until the test says that they are mended. */
const handle: Handler = ({ record }) => {
  const { trouble } = (record.metadata ?? {}) as { readonly trouble?: string }
  if ((globalThis as { operatorTestIsMended?: boolean }).operatorTestIsMended) return
  if (trouble === 'schema')
    throw new Permanent('the extracted fields do not fit the schema: total: expected number, received null')
  if (trouble === 'credit') throw new Permanent('credit notes are not handled here')
  if (trouble === 'db') throw new Error('connect ECONNREFUSED 10.0.4.17:5432')
}

export default handle
