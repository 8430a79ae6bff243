import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type CommandSpec, command, WrongUse } from '../../src/cli/command.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { commandsPage } from '../../src/cli/docs.ts'
import { commandHelp, helpFor } from '../../src/cli/help.ts'
import { parseFor } from '../../src/cli/parse.ts'

describe('docs/commands.md', () => {
  it('is what receiver help --markdown prints', () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/commands.md'), 'utf8')
    expect(page).toBe(commandsPage())
  })
})

describe('every command', () => {
  it.each(COMMANDS.map(({ spec }) => [spec.name, spec] as const))('%s: its examples are understood', (_name, spec) => {
    for (const [call] of spec.examples) {
      // As a shell would split it, up to what is redirected.
      const words = [...call.replace(/ >.*$/, '').matchAll(/"([^"]*)"|(\S+)/g)].map(
        ([, quoted, word]) => quoted ?? word!,
      )
      expect(call.startsWith(spec.name), call).toBe(true)
      expect(() => parseFor(spec, words.slice(spec.name.split(' ').length))).not.toThrow()
    }
    expect(spec.examples.length).toBeGreaterThan(0)
  })

  it.each(COMMANDS.map(({ spec }) => [spec.name, spec] as const))('%s: its help fits a terminal', (_name, spec) => {
    const lines = commandHelp(spec, 'receiver').split('\n')
    for (const line of lines)
      expect(line.length, line).toBeLessThanOrEqual(spec.examples.some(([call]) => line.includes(call)) ? 100 : 80)
  })

  it('is in the overview', () => {
    const text = helpFor([], 'receiver')
    for (const { spec } of COMMANDS) expect(text).toContain(`  ${spec.name}`)
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  it('that prints takes --json', () => {
    const without = COMMANDS.filter(({ spec }) => !Object.hasOwn(spec.options ?? {}, 'json')).map(
      ({ spec }) => spec.name,
    )
    expect(without).toEqual(['serve', 'demo', 'completion', 'help'])
  })
})

describe('what is given to a command', () => {
  const spec = command({
    name: 'try',
    args: 'one thing',
    takes: [0, 1],
    does: '',
    options: {
      to: { takes: 'a URL', does: '' },
      kind: { takes: 'a kind', choices: ['parse', 'extract'], does: '' },
      tag: { takes: 'a tag', many: true, does: '' },
      limit: { takes: 'a number', default: '20', does: '' },
      json: { does: '' },
    },
    examples: [],
  })
  const refused = (...args: string[]) => {
    try {
      parseFor(spec as unknown as CommandSpec, args)
    } catch (error) {
      expect(error).toBeInstanceOf(WrongUse)
      return (error as Error).message
    }
    return null
  }

  it('is read as the command says', () => {
    expect(parseFor(spec, ['x', '--to=a', '--tag', '1', '--tag', '2', '--json'])).toEqual({
      args: ['x'],
      values: { to: 'a', kind: undefined, tag: ['1', '2'], limit: '20', json: true },
    })
    expect(parseFor(spec, ['--', '--json'])).toMatchObject({ args: ['--json'], values: { json: false } })
  })

  it.each([
    [['--nonsense'], "Unknown option '--nonsense'"],
    [['--jsno'], "Unknown option '--jsno'; did you mean --json?"],
    [['--lim', '3'], "Unknown option '--lim'; did you mean --limit?"],
    [['-x'], "Unknown option '-x'"],
    [['--no-json'], "Unknown option '--no-json'"],
    [['--to'], '--to takes a URL'],
    [['--to', '--json'], '--to takes a URL'],
    [['--json=yes'], '--json takes no value'],
    [['--kind', 'novel'], '--kind takes one of parse, extract'],
    [['--kind', 'extrac'], '--kind takes one of parse, extract; did you mean extract?'],
    [['--kind', 'constructor'], '--kind takes one of parse, extract'],
    [['--__proto__', 'x'], "Unknown option '--__proto__'"],
    [['--constructor'], "Unknown option '--constructor'"],
    [['a', 'b'], 'try takes one thing'],
  ])('%j is refused: %s', (args, message) => {
    expect(refused(...args)).toBe(message)
  })
})

describe('completion', () => {
  /** What a shell offers after these words, the last of which is being typed. */
  function offered(...words: string[]): string[] {
    const script = execFileSync(
      process.execPath,
      [resolve(import.meta.dirname, '../../src/bin.js'), 'completion', 'bash'],
      {
        encoding: 'utf8',
      },
    )
    const list = words.map((word) => `'${word}'`).join(' ')
    const run = `${script}\nCOMP_WORDS=(receiver ${list}); COMP_CWORD=${words.length}; _receiver; printf '%s\\n' "\${COMPREPLY[@]}"`
    return execFileSync('bash', ['--norc', '-c', run], { encoding: 'utf8' }).split('\n').filter(Boolean)
  }

  it('offers commands, subcommands, options and choices in bash', () => {
    expect(offered('st')).toEqual(['status'])
    expect(offered('jobs', 're')).toEqual(['retry', 'replay'])
    expect(offered('jobs', 'retry', '--re')).toEqual(['--refetch'])
    expect(offered('jobs', 'list', '--state', 'd')).toEqual(['done', 'dead'])
    expect(offered('handle', 'x.ts', '--sample', 'pip')).toEqual(['pipeline'])
    expect(offered('completion', '')).toEqual(['bash', 'zsh', '--help'])
    expect(offered('backup', '--database', '')).not.toContain('status')
  })
})
