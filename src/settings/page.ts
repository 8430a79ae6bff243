import { GROUPS, type Group, type Setting } from './setting.ts'
import { ENDPOINT_SECRET, endpointSecrets, SETTING_NAMES, SETTINGS } from './settings.ts'

const BEGIN = '<!-- settings: written from src/settings/settings.ts -->'
const END = '<!-- end of settings -->'

const FURTHER_ENDPOINT = {
  doc: 'The signing secrets of an additional endpoint at /webhook/<name>. NAME consists of A-Z and 0-9, and is not FILE, DEFAULT or DIRECT.',
  default: null,
  required: null,
  secret: true,
}

type Row = Pick<Setting<unknown>, 'doc' | 'default' | 'required' | 'secret'>

/**
 * The settings page with its tables, between the two marks, generated from the table of settings.
 * @throws Error when a mark is missing
 */
export function withSettings(page: string): string {
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (before === -1 || after < before) throw new Error(`the page of settings needs the lines ${BEGIN} and ${END}`)
  return `${page.slice(0, before + BEGIN.length)}\n\n${GROUPS.map(tableOf).join('\n')}\n${page.slice(after)}`
}

function tableOf(group: Group): string {
  const rows = rowsOf(group).map(([name, row]) => `| \`${name}\` | ${defaultOf(row)} | ${cell(row.doc)} |\n`)
  return `### ${group}\n\n| Name | Default | |\n|---|---|---|\n${rows.join('')}`
}

function rowsOf(group: Group): (readonly [name: string, row: Row])[] {
  const own = SETTING_NAMES.filter((name) => SETTINGS[name].group === group).map(
    (name) => [name, SETTINGS[name] as Row] as const,
  )
  if (group === 'Required') return [[ENDPOINT_SECRET, { ...endpointSecrets, required: 'is required' }], ...own]
  if (group === 'More endpoints') return [[`${ENDPOINT_SECRET}_<NAME>`, FURTHER_ENDPOINT], ...own]
  return own
}

function defaultOf({ default: standard, required, secret }: Row): string {
  const value = required !== null ? 'required' : standard ? `\`${standard}\`` : 'none'
  return secret ? `${value}, secret` : value
}

/** Escapes a text for a table cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '\\<')
}
