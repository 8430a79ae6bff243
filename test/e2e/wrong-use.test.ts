import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { newSecret } from '../../src/signing.ts'
import { tempFolder } from '../support/temp.ts'

/** What is typed is looked up among our own names only, and every command tells how it is used. */

const BIN = resolve(import.meta.dirname, '../../src/bin.js')

function receiver(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    cwd: tempFolder(),
    env: { PATH: process.env.PATH, SVIX_WEBHOOK_SECRET: newSecret() },
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

const EVERY_OBJECT_HAS = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf']

describe.each(EVERY_OBJECT_HAS)('%s', (name) => {
  it.each([
    [[name], `there is no command ${name}`],
    [['jobs', name], 'jobs takes one of list, '],
    [['jobs', name, 'id'], 'jobs takes one of list, '],
    [['jobs', 'list', `--${name}`], `Unknown option '--${name}'`],
    [['jobs', 'list', '--state', name], '--state takes one of'],
    [['send-test', name, '--to', 'http://127.0.0.1:9999/webhook'], 'send-test takes one of completed'],
    [['send-test', '--kind', name, '--to', 'http://127.0.0.1:9999/webhook'], "Unknown option '--kind'"],
    [['send-test', '--to', `http://127.0.0.1:9999/webhook/${name}`], `there is no secret for the endpoint ${name}`],
    [['handle', 'x.ts', '--sample', name], '--sample takes one of parse'],
    [['demo', '--port', name], '--port takes a number'],
    [['backup', `--${name}`], `Unknown option '--${name}'`],
  ])('%j is wrong use, exit 2', (args, told) => {
    const { status, stdout, stderr } = receiver(...args)
    expect(stderr).toContain(told)
    expect(stderr).toMatch(/Try: .* help\n$/)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  })
})

describe('send-test', () => {
  it.each([
    'localhost:3000/webhook',
    '127.0.0.1:3000/webhook',
    'ftp://127.0.0.1/webhook',
    'file:///webhook',
    'webhook',
    '',
  ])('a URL %j without http(s) is wrong use, exit 2, with the cure', (to) => {
    const { status, stderr } = receiver('send-test', 'ping', '--to', to)
    expect(stderr).toMatch('begins with http:// or https://, such as --to http://localhost:3000/webhook')
    expect(status).toBe(2)
  })

  it.each([
    ['http://user:sentinel@127.0.0.1:1/webhook', 'without user name and password'],
    ['http://127.0.0.1:25/webhook', 'port 25 are blocked'],
  ])('a URL that fetch refuses, %s, is wrong use, exit 2', (to, told) => {
    const { status, stderr } = receiver('send-test', 'ping', '--to', to)
    expect(stderr).toMatch(told)
    expect(stderr).not.toContain('sentinel')
    expect(status).toBe(2)
  })
})

describe('help', () => {
  const all = [[], ['jobs'], ['deliveries'], ...COMMANDS.map(({ spec }) => spec.name.split(' '))]

  it.each(all)('%s %s --help: exit 0, on standard output', (...call) => {
    const words = call.filter((word) => word !== undefined)
    const { status, stdout, stderr } = receiver(...words, '--help')
    expect(stdout).toContain(`reducto-webhook-receiver ${words.length === 0 ? 'COMMAND' : words.join(' ')}`)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  it.each([
    [['-h']],
    [['help']],
    [['jobs', '-h']],
    [['jobs', 'retry', '-h']],
    [['help', 'jobs', 'retry']],
    [['jobs', 'retry', 'x', '--help']],
  ])('%j, too', (args) => {
    expect(receiver(...args)).toMatchObject({ status: 0, stderr: '' })
  })

  it('is of the command that it is asked for, with its options and examples', () => {
    const { stdout } = receiver('jobs', 'retry', '--help')
    for (const text of [
      '--refetch',
      '--metadata KEY=VALUE',
      'Examples:',
      'jobs retry --state dead --since 2h --dry-run',
    ])
      expect(stdout).toContain(text)
    expect(stdout).not.toContain('backup')
    expect(receiver('help', 'nonsense')).toMatchObject({ status: 2, stdout: '' })
  })

  it('names what was probably meant', () => {
    expect(receiver('statsu').stderr).toContain('there is no command statsu; did you mean status?')
    expect(receiver('jobs', 'lst').stderr).toContain('did you mean jobs list?')
    expect(receiver('jobs', 'retry', '--refech').stderr).toContain("Unknown option '--refech'; did you mean --refetch?")
    expect(receiver('jobs', 'list', '--state', 'daed').stderr).toContain('did you mean dead?')
  })

  it('what follows -- asks for nothing', () => {
    expect(receiver('jobs', 'list', '--', '-h')).toMatchObject({ status: 2, stdout: '' })
  })
})
