import type { AddressInfo } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import express from 'express'
import { Webhook } from 'svix'

/**
 * What the service is measured against: an Express handler that verifies with svix and answers. With a path as second
 * argument it stores each delivery first, as most people would: one synchronous insert a request, synced to the disk.
 */

const [secret, path] = process.argv.slice(2) as [string, string?]
const webhook = new Webhook(secret)
const store = path === undefined ? () => {} : createStore(path)
const app = express()

app.post('/webhook', express.raw({ type: () => true }), (request, response) => {
  try {
    webhook.verify(request.body, request.headers as Record<string, string>)
  } catch {
    return void response.status(401).json({ error: 'Invalid signature' })
  }
  const update = JSON.parse(request.body.toString())
  store(request.header('svix-id')!, update.job_id ?? null, request.body)
  response.status(200).json({ received: update.job_id !== undefined })
})

function createStore(file: string): (id: string, jobId: string | null, body: Buffer) => void {
  const db = new DatabaseSync(file)
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
           CREATE TABLE delivery (id TEXT PRIMARY KEY, job_id TEXT, body BLOB NOT NULL)`)
  const insert = db.prepare('INSERT INTO delivery VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
  return (...row) => void insert.run(...row)
}

const server = app.listen(0, '127.0.0.1', () => {
  process.send!({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
})
