import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT, read } from './support.ts'

/** Files that say elsewhere what one file decides. */

describe('.editorconfig', () => {
  it('formats as biome.json does', () => {
    const { indentStyle, indentWidth, lineWidth } = JSON.parse(read('biome.json')).formatter
    const [, everywhere = ''] = /^\[\*\]\n([\s\S]*?)\n\n/m.exec(read('.editorconfig'))!
    const settings = Object.fromEntries(everywhere.split('\n').map((line) => line.split(' = ')))
    expect(settings).toMatchObject({
      indent_style: indentStyle,
      indent_size: String(indentWidth),
      max_line_length: String(lineWidth),
    })
  })
})

describe('.github/workflows/ci.yml', () => {
  const workflow = read('.github/workflows/ci.yml')

  it('runs the gate, on the Node that the package asks for', () => {
    expect(workflow).toMatch(/^ +- run: \.ci\/run$/m)
    expect(statSync(join(ROOT, '.ci/run')).mode & 0o111).not.toBe(0)
    const [, node] = /node-version: '(\d+)'/.exec(workflow)!
    expect(JSON.parse(read('package.json')).engines.node).toBe(`>=${node}`)
  })

  it('may read the code, and nothing else', () => {
    expect(workflow.match(/^ *permissions:\n(?: +.+\n)+/gm)).toEqual(['permissions:\n  contents: read\n'])
    expect(workflow).toContain('persist-credentials: false')
    expect(workflow).not.toContain('secrets.')
    expect(workflow).not.toContain('pull_request_target')
  })

  it('pins every action by its commit, and says which version that is', () => {
    const uses = [...workflow.matchAll(/^ +- uses: (.+)$/gm)].map(([, action]) => action)
    expect(uses.length).toBeGreaterThan(0)
    for (const action of uses) expect(action).toMatch(/^[\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })
})
