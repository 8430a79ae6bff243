import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook } from 'svix'
import { onTestFinished } from 'vitest'

export type Arrived = { readonly id: string; readonly body: Record<string, unknown>; readonly raw: string }
type Answer = (request: IncomingMessage, response: ServerResponse, arrived: Arrived) => void

/** A receiver of alerts as a user would write it: verifies each with the svix library. Stopped with the test. */
export async function alertReceiver(secret: string, answer: Answer = (_request, response) => void response.end()) {
  const arrivals: Arrived[] = []
  let watchers: (() => void)[] = []
  const server = createServer(async (request, response) => {
    const raw = await text(request)
    new Webhook(secret).verify(raw, request.headers as Record<string, string>)
    const body = JSON.parse(raw) as Arrived['body']
    const arrived = { id: String(request.headers['webhook-id']), body, raw }
    arrivals.push(arrived)
    answer(request, response, arrived)
    const told = watchers
    watchers = []
    for (const tell of told) tell()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`,
    arrivals,
    /** Resolves when so many have arrived. */
    async arrived(count: number): Promise<readonly Arrived[]> {
      while (arrivals.length < count) await new Promise<void>((resolve) => watchers.push(resolve))
      return arrivals
    },
  }
}
