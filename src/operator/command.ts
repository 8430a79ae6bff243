import type { JobFilter } from '../inbox/inbox.ts'
import { type Html, html, visible } from './html.ts'
import { icon } from './icons.ts'

/** The command that does the same as a page, for a terminal. */

/** How the command is called: the package's own name, so that no other package answers. */
const PROGRAM = 'npx reducto-webhook-receiver'

/** A word as a shell takes it. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** `words` are the command's own; values of others are quoted. */
export function commandText(words: string, args: readonly string[] = []): string {
  return [PROGRAM, words, ...args.map(shellWord)].join(' ')
}

/** The options that say which jobs. Times are written out, since `2h` would be another time later. */
export function filterArgs(filter: JobFilter): readonly string[] {
  const { metadata = {}, since, until } = filter
  const named = (['state', 'stage', 'status', 'type', 'endpoint', 'code', 'error', 'cause', 'q'] as const).flatMap(
    (name) => {
      const value = (filter as Readonly<Record<string, unknown>>)[name]
      return typeof value === 'string' ? [`--${name}`, value] : []
    },
  )
  return [
    ...named,
    ...Object.entries(metadata).flatMap(([key, value]) => ['--metadata', `${key}=${value}`]),
    ...(since === undefined ? [] : ['--since', new Date(since).toISOString()]),
    ...(until === undefined ? [] : ['--until', new Date(until).toISOString()]),
  ]
}

/** A text to be copied, and the button that does it; without script it can be marked. */
export function copyable(text: string, label: string): Html {
  return html`<span class="copyable"><code>${visible(text)}</code><button type="button" class="quiet copy" data-copy="${text}" aria-label="${label}" title="${label}" hidden>${icon('copy')}</button></span>`
}
