import { describe, expect, it } from 'vitest'
import { FAMILIES, type Family } from '../../src/telemetry/families.ts'
import { read } from './support.ts'

const BEGIN = '<!-- families: written from src/telemetry/families.ts -->'
const END = '<!-- end of families -->'

/** The page, with the table between its marks as the families say. */
function withFamilies(page: string): string {
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (before === -1 || after < before) throw new Error(`the page of metrics needs the lines ${BEGIN} and ${END}`)
  const rows = Object.entries(FAMILIES).map(([name, family]) => rowOf(name, family))
  const table = ['| Name | Kind | Labels | Meaning | What to do |', '|---|---|---|---|---|', ...rows].join('\n')
  return `${page.slice(0, before + BEGIN.length)}\n\n${table}\n\n${page.slice(after)}`
}

function rowOf(name: string, { kind, labels, help, use }: Family): string {
  const words = labels.length > 0 ? labels.map((label) => `\`${label}\``).join(', ') : '–'
  return `| \`${name}\` | ${kind} | ${words} | ${help} | ${use} |`
}

describe('docs/metrics.md', () => {
  it('has the table that the families make (vitest -u writes it)', async () => {
    await expect(withFamilies(read('docs/metrics.md'))).toMatchFileSnapshot('../../docs/metrics.md')
  })

  it('says of each family, in whole sentences, what it is and what to do', () => {
    for (const [name, { help, use }] of Object.entries(FAMILIES)) {
      expect(help, name).toMatch(/^[A-Z].*\.$/)
      expect(use, name).toMatch(/[.?]$/)
      expect(`${help}${use}`, name).not.toContain('|')
    }
  })
})
