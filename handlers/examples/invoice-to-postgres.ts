/**
 * Checks an invoice's extracted fields and upserts them into PostgreSQL, once per job however often it is called.
 *
 *   npm install pg
 *   INVOICES_DATABASE_URL=postgres://… HANDLER=./handlers/examples/invoice-to-postgres.ts npm start
 */
import pg from 'pg'
import type { Handler } from 'reducto-webhook-receiver'
import { z } from 'zod'

const Invoice = z.object({
  invoice_number: z.string(),
  total: z.number(),
  currency: z.string().length(3),
  supplier: z.object({ name: z.string() }),
  lines: z.array(z.object({ description: z.string(), amount: z.number() })),
})

const pool = new pg.Pool({ connectionString: process.env.INVOICES_DATABASE_URL, max: 4 })
// A connection that breaks while it is idle is no reason to end the service.
pool.on('error', () => {})

/** Made with the first invoice; a failure is forgotten, so that the next call tries again. */
let table: Promise<unknown> | null = null
function ensureTable(): Promise<unknown> {
  table ??= pool
    .query(
      `CREATE TABLE IF NOT EXISTS invoice (
         job_id         text PRIMARY KEY,
         invoice_number text NOT NULL,
         supplier       text NOT NULL,
         total          numeric NOT NULL,
         currency       char(3) NOT NULL,
         lines          jsonb NOT NULL,
         received_at    timestamptz NOT NULL
       )`,
    )
    .catch((error) => {
      table = null
      throw error
    })
  return table
}

const handle: Handler = async (result, { log }) => {
  const { job_id, type, received_at } = result.record
  if (type !== 'Extract') return
  if (result.status !== 'Completed') return log.warn(`no invoice: ${result.reason}`)
  const invoice = await result.extracted(Invoice)
  await ensureTable()
  await pool.query(
    `INSERT INTO invoice VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (job_id) DO UPDATE SET invoice_number = excluded.invoice_number, supplier = excluded.supplier,
       total = excluded.total, currency = excluded.currency, lines = excluded.lines`,
    [
      job_id,
      invoice.invoice_number,
      invoice.supplier.name,
      invoice.total,
      invoice.currency,
      JSON.stringify(invoice.lines),
      received_at,
    ],
  )
  log.info({ invoice: invoice.invoice_number }, 'invoice saved')
}

export default handle
