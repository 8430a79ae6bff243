import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createReceiver, type ReceiverOptions, SettingsError } from '../../src/index.ts'
import { newSigningSecret } from '../../src/testing.ts'
import { tempFolder } from '../support/temp.ts'

const GOOD = { SVIX_WEBHOOK_SECRET: newSigningSecret(), REDUCTO_API_KEY: 'key-1' }

function problemsOf(options: unknown): readonly string[] {
  try {
    createReceiver(options as ReceiverOptions)
    return []
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError)
    return (error as SettingsError).problems
  }
}

describe('the settings of a receiver in an app', () => {
  it('are told with every problem at once', () => {
    const problems = problemsOf({
      settings: {
        WORKER_CONCURRENCY: 1000,
        RETENTON: '100d',
        PORT: 3000,
        COLOUR: 'red',
        HANDLER_TIMEOUT: {},
        MAX_RESULT_BYTES: null,
      },
      handler: 'handlers/invoice.ts',
      log: { info() {} },
    })
    expect(problems).toEqual([
      'handler: must be a function, or a module whose default export is one',
      'log: must have the methods debug, info, warn and error',
      'PORT: is only for the service; your app has its own server and log',
      'COLOUR: is not a setting',
      'HANDLER_TIMEOUT: must be text, as in the environment, a number or a boolean, not of type object',
      'MAX_RESULT_BYTES: must be text, as in the environment, a number or a boolean, not null',
      expect.stringMatching(/^SVIX_WEBHOOK_SECRET: is required/),
      expect.stringMatching(/^REDUCTO_API_KEY: is required/),
      expect.stringMatching(/^WORKER_CONCURRENCY: must be a whole number/),
      'RETENTON: is not a setting; did you mean RETENTION?',
    ])
  })

  it.each([
    [undefined, ['options: must be an object with settings, environment or both']],
    [null, ['options: must be an object with settings, environment or both']],
    ['whsec_abc', ['options: must be an object with settings, environment or both']],
    [{ settings: null }, ['settings: must be a plain object']],
    [{ settings: 'SVIX_WEBHOOK_SECRET=a' }, ['settings: must be a plain object']],
    [{ settings: new Map(Object.entries(GOOD)) }, ['settings: must be a plain object']],
    [{ settings: [GOOD] }, ['settings: must be a plain object']],
    [{ settings: Object.create(GOOD) }, ['settings: must be a plain object']],
    [{ settings: GOOD, environment: null }, ['environment: must be a plain object']],
    [{ settings: GOOD, environment: 'a' }, ['environment: must be a plain object']],
    [{ environment: Object.create(GOOD) }, ['environment: must be a plain object']],
    [{ settings: GOOD, onFatal: 'exit' }, ['onFatal: must be a function']],
    [
      { settings: GOOD, onfatal() {}, toString: 1 },
      [
        'onfatal: is not an option; these are settings, environment, handler, log and onFatal',
        'toString: is not an option; these are settings, environment, handler, log and onFatal',
      ],
    ],
  ])('%o in place of what they must be are told, not thrown', (options, problems) => {
    expect(problemsOf(options)).toEqual(problems)
  })

  it.each([
    { constructor: 'x', toString: 'y', hasOwnProperty: 'z' },
    JSON.parse('{"__proto__":"x","valueOf":"y"}'),
    { HANDLER_TIMEOUT: Object.create(null) },
    { HANDLER_TIMEOUT: { toString: () => '1m' } },
    { HANDLER_TIMEOUT: Symbol('1m') },
    { RETENTION: ['100d'] },
  ])('%o: each name that is none and each value that is no text is a problem', (settings) => {
    const problems = problemsOf({ settings: { ...GOOD, ...settings } })
    const own = Object.keys({ ...GOOD, ...settings }).filter((name) => !Object.hasOwn(GOOD, name))
    expect(own.length).toBeGreaterThan(0)
    expect(problems.map((problem) => problem.split(':')[0])).toEqual(own)
  })

  it('in an environment must be text, also one that no shell has made', () => {
    const environment = {
      ...GOOD,
      WORKER_CONCURRENCY: 4,
      https_proxy: {},
      npm_config: 7,
      PORT: 3000,
      RETENTION: undefined,
    }
    expect(problemsOf({ environment })).toEqual([
      'WORKER_CONCURRENCY: must be text in an environment, not of type number',
      'https_proxy: must be text in an environment, not of type object',
    ])
  })

  it('may be numbers, or absent', () => {
    expect(
      problemsOf({ settings: { ...GOOD, WORKER_CONCURRENCY: 4, PUBLIC_URL: undefined, RESULTS_RETENTION: '' } }),
    ).toEqual([])
  })

  it('come from an environment only when it is passed on, whatever else it holds', () => {
    process.env.REDUCTO_API_KEY = 'key-of-the-process'
    onTestFinished(() => void delete process.env.REDUCTO_API_KEY)
    const { REDUCTO_API_KEY: _, ...rest } = GOOD
    expect(problemsOf({ settings: rest })).toEqual([expect.stringMatching(/^REDUCTO_API_KEY/)])
    expect(problemsOf({ settings: rest, environment: process.env })).toEqual([])
    expect(
      problemsOf({
        settings: rest,
        environment: { ...GOOD, PORT: 'of the app', HOST: '!', LOG_LEVEL: 'loud', COLOUR: '1' },
      }),
    ).toEqual([])
  })

  it('win over the environment, also over the other ways to write it', () => {
    const environment = { ...GOOD, https_proxy: 'socks://no', REDUCTO_API_KEY_FILE: '/not/there', RETENTION: '1d' }
    const { REDUCTO_API_KEY: _, ...secretOnly } = GOOD
    const settings = { ...GOOD, HTTPS_PROXY: 'http://proxy:3128', RETENTION: '100d' }
    expect(problemsOf({ settings, environment })).toEqual([])
    expect(problemsOf({ settings: secretOnly, environment })).not.toEqual([])
  })

  it('have one handler', () => {
    const handler = () => {}
    expect(problemsOf({ settings: { ...GOOD, HANDLER: './a.ts' }, handler })).toEqual([
      expect.stringMatching(/^HANDLER: set either/),
    ])
    expect(problemsOf({ settings: GOOD, environment: { HANDLER: './a.ts' }, handler })).toEqual([
      expect.stringMatching(/^HANDLER: set either/),
    ])
    for (const wrong of [null, 7, {}, class {}, { default: 'x' }])
      expect(problemsOf({ settings: GOOD, handler: wrong })).toEqual([
        expect.stringMatching(/^handler: must be a function/),
      ])
  })

  it('of secrets are never shown', () => {
    const text = problemsOf({ settings: { SVIX_WEBHOOK_SECRET: 'hunter2', REDUCTO_API_KEY: 'a "b' } }).join('\n')
    expect(text).toMatch(/SVIX_WEBHOOK_SECRET[\s\S]*REDUCTO_API_KEY/)
    expect(text).not.toMatch(/hunter2|a "b/)
  })

  it('that name places which cannot be used are told at the start', async () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'file'), '')
    mkdirSync(join(folder, 'receiver.db'))
    const receiver = createReceiver({
      log: null,
      settings: { ...GOOD, DATABASE_URL: `sqlite:${folder}/receiver.db`, RESULTS_URL: `file:${folder}/file` },
    })
    await expect(receiver.start()).rejects.toMatchObject({
      name: 'SettingsError',
      problems: [expect.stringMatching(/^DATABASE_URL: /), expect.stringMatching(/^RESULTS_URL: /)],
    })
  })
})
