/**
 * Posts a line to a chat's incoming webhook (Slack, Mattermost, Discord with /slack) for each job that ends.
 *
 *   CHAT_WEBHOOK_URL=https://hooks.slack.com/services/… HANDLER=./handlers/examples/message-to-chat.ts npm start
 */
import { type Handler, Permanent, type Result } from 'reducto-webhook-receiver'

const url = process.env.CHAT_WEBHOOK_URL

const handle: Handler = async (result, { signal }) => {
  if (!url) throw new Permanent('CHAT_WEBHOOK_URL is not set')
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: textOf(result) }),
    signal,
  })
  // The chat may be down or limit us: throwing means that the message is tried again later.
  if (!response.ok) throw new Error(`the chat answered ${response.status}`)
}

function textOf(result: Result): string {
  const { job_id, type, files } = result.record
  const name = `${type ?? 'Job'} ${job_id}`
  if (result.status === 'Completed') return `✅ ${name}: done, ${files.count} files saved`
  return `❌ ${name}: ${result.reason ?? result.status}`
}

export default handle
