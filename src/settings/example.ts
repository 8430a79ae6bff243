import { GROUPS, type Group, type Setting } from './setting.ts'
import { ENDPOINT_SECRET, endpointSecrets, SETTING_NAMES, SETTINGS } from './settings.ts'

const WIDTH = 120

const HEAD = `# Copy to .env and fill in the first two. Each line is NAME=value: no quotes, no comments after a value
# (container engines would keep both). What is commented out shows its default.
# Every secret of these can also come from a file: SVIX_WEBHOOK_SECRET_FILE=/run/secrets/svix, REDUCTO_API_KEY_FILE=…
`

const FURTHER_ENDPOINT =
  'A second endpoint in Svix (for example for another channel) has its own URL and secret: SVIX_WEBHOOK_SECRET_<NAME> is for /webhook/<name>. NAME consists of A-Z and 0-9.'

/** The text of `.env.example`: every setting with its default and description. */
export function exampleFile(): string {
  return [HEAD, ...GROUPS.map((group) => `${heading(group)}\n${entriesOf(group).join('\n')}`)].join('\n')
}

function heading(group: Group): string {
  return `${`# --- ${group} `.padEnd(WIDTH - 5, '-')}\n`
}

function entriesOf(group: Group): string[] {
  const entries = SETTING_NAMES.filter((name) => SETTINGS[name].group === group).map((name) =>
    entry(name, SETTINGS[name]),
  )
  if (group === 'Required') return [`${comment(endpointSecrets.doc)}${ENDPOINT_SECRET}=\n`, ...entries]
  if (group === 'More endpoints') return [`${comment(FURTHER_ENDPOINT)}# ${ENDPOINT_SECRET}_DEVELOPMENT=\n`, ...entries]
  return entries
}

function entry(name: string, { doc, default: standard, required }: Setting<unknown>): string {
  return `${comment(doc)}${required === null ? '# ' : ''}${name}=${standard ?? ''}\n`
}

/** Wraps a comment to the line width. */
function comment(text: string): string {
  const lines = ['#']
  for (const word of text.split(' ')) {
    if (lines.at(-1)!.length + 1 + word.length > WIDTH) lines.push('#')
    lines[lines.length - 1] += ` ${word}`
  }
  return lines.map((line) => `${line}\n`).join('')
}
