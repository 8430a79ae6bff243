import { readError } from '../reducto/errors.ts'
import { loadConfig } from '../settings/config.ts'
import { environment } from '../settings/environment.ts'
import type { Run } from './command.ts'
import { print, printError, printJson } from './output.ts'
import { openReducto } from './reducto.ts'
import type { dashboard } from './spec/submit.ts'

/** `dashboard`: the link is printed and nowhere else; no log or file has it. */
export const runDashboard: Run<typeof dashboard> = async ({ values }) => {
  const config = loadConfig(environment(), ['reducto', 'proxy'])
  await using reducto = openReducto(config)
  const { client } = reducto
  const answer: unknown = await client
    .call(new AbortController().signal, async (signal) => client.sdk.webhook.run({ signal }))
    .catch((error) => {
      throw readError(error, Date.now())
    })
  const url = linkIn(answer)
  if (url === null) throw new Error('Reducto answered without a link: open Account → Webhooks in Reducto Studio')
  if (values.json) return printJson({ url })
  printError('This link signs in whoever has it: treat it like a password. It is not logged.')
  return print(`${url}\n`)
}

/** The answer is the link as text, bare or as JSON. */
function linkIn(answer: unknown): string | null {
  if (typeof answer !== 'string') return null
  const text = answer.trim().replace(/^"(.*)"$/, '$1')
  return URL.canParse(text) && new URL(text).protocol === 'https:' && !/\s/.test(text) ? text : null
}
