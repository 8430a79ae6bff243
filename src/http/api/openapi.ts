import { z } from 'zod'
import type { ApiRoute } from './table.ts'

/** The OpenAPI 3.1 document of these routes: its schemas are JSON Schema, as zod writes it. */
export function openApiOf(routes: readonly ApiRoute[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/[:*](\w+)/g, '{$1}')
    // Relative to the server, which ends before `/api`.
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'reducto-webhook-receiver',
      version,
      description: 'The operator’s API. Members of answers are only ever added.',
    },
    // From `/api/openapi.json` back to the prefix, whatever that is.
    servers: [{ url: '..' }],
    security: [{ token: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'ADMIN_TOKEN, or ADMIN_READ_TOKEN where nothing changes',
        },
        session: { type: 'apiKey', in: 'cookie', name: 'receiver', description: 'of a browser that has signed in' },
      },
      schemas: { Error: schemaOf(ERROR, 'output') },
    },
  }
}

const ERROR = z.looseObject({
  error: z.string(),
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  count: z.int().optional(),
})

const COMMON = { 400: 'invalid_query', 401: 'unauthorized', 429: 'slow_down', 503: 'busy, unavailable' } as const
const OWN = {
  403: 'content_hidden',
  404: 'not_found',
  409: 'running, erased, expected, changed, has_job, no_body, body_cut',
} as const

function operationOf({ method, path, caller, summary, query, body, answer, refusals }: ApiRoute) {
  const words = {
    ...COMMON,
    ...(caller === 'write' ? { 403: 'read_only, cross_site' } : {}),
    ...Object.fromEntries(refusals.map((status) => [status, OWN[status]])),
  }
  const refused = Object.entries(words).map(([status, description]) => [
    status,
    { description, content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } },
  ])
  const content =
    answer === null
      ? { 'application/octet-stream': {} }
      : { 'application/json': { schema: schemaOf(answer, 'output') } }
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    description: caller === 'write' ? 'Needs a token or a session that may change things.' : 'Changes nothing.',
    parameters: [...pathParameters(path), ...queryParameters(query)],
    ...(body === null ? {} : { requestBody: { content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
    responses: { 200: { description: 'Done.', content }, ...Object.fromEntries(refused) },
  }
}

function pathParameters(path: string) {
  return [...path.matchAll(/[:*](\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
}

function queryParameters(query: z.ZodObject) {
  const { properties = {} } = schemaOf(query, 'input') as { properties?: Record<string, { description?: string }> }
  return Object.entries(properties).map(([name, { description, ...schema }]) =>
    name === 'metadata'
      ? // One parameter for each member: its name cannot be said in this format.
        {
          name: 'metadata.KEY',
          in: 'query',
          description: `${description}: KEY is the member’s name`,
          schema: { type: 'string' },
        }
      : { name, in: 'query', ...(description ? { description } : {}), schema },
  )
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}
