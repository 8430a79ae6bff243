import type { AddressInfo } from 'node:net'
import express from 'express'
import { Webhook } from 'svix'

/** What the service is measured against: an Express handler that verifies with svix, answers, and stores nothing. */

const webhook = new Webhook(process.argv[2]!)
const app = express()

app.post('/webhook', express.raw({ type: () => true }), (request, response) => {
  try {
    webhook.verify(request.body, request.headers as Record<string, string>)
  } catch {
    return void response.status(401).json({ error: 'Invalid signature' })
  }
  const update = JSON.parse(request.body.toString())
  response.status(200).json({ received: update.job_id !== undefined })
})

const server = app.listen(0, '127.0.0.1', () => {
  process.send!({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
})
