import { appendFileSync } from 'node:fs'
import type { Handler } from 'reducto-webhook-receiver'

/** A handler that fails, kills the whole process, and is slow, at random; it notes the calls that it has taken. */
const handle: Handler = async (result) => {
  const luck = Math.random()
  if (luck < 0.15) throw new Error('not now')
  if (luck < 0.18) process.kill(process.pid, 'SIGKILL')
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
  appendFileSync(process.env.TAKEN_FILE!, `${result.record.job_id}\n`)
  if (luck > 0.97) throw new Error('taken, but not told')
}

export default handle
