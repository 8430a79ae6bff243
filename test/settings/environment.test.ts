import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newSecret } from '../../src/signing.ts'
import { tempFolder } from '../support/temp.ts'

/** The real environment wins over `.env`, whichever form of a setting each of them uses. */

const SETTINGS = resolve(import.meta.dirname, '../../src/settings')
const PROGRAM = `
  import { loadConfig } from '${SETTINGS}/config.ts'
  import { environment } from '${SETTINGS}/environment.ts'
  const { endpoints, reducto, handler, proxy, directToken } = loadConfig(environment())
  const { https_proxy, HTTPS_PROXY, all_proxy, REDUCTO_BASE_URL } = process.env
  const left = { https_proxy, HTTPS_PROXY, all_proxy, REDUCTO_BASE_URL }
  process.stdout.write(JSON.stringify({ endpoints: Object.fromEntries(endpoints), reducto, handler, proxy, directToken, left }))
`

function read(env: Record<string, string>, file: Record<string, string>) {
  const folder = tempFolder()
  const lines = Object.entries(file).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(join(folder, '.env'), lines.join(''))
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', PROGRAM], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
  })
  return stdout === '' ? { stderr } : { ...JSON.parse(stdout), stderr }
}

const [A, B] = [newSecret(), newSecret()]
const base = { SVIX_WEBHOOK_SECRET: A, REDUCTO_API_KEY: 'key-of-the-environment' }

function secretFile(text: string): string {
  const file = join(tempFolder(), 'secret')
  writeFileSync(file, text)
  return file
}

describe('the environment wins over .env', () => {
  it('with NAME over NAME_FILE, and the other way round', () => {
    const { REDUCTO_API_KEY, ...rest } = base
    expect(read(base, { REDUCTO_API_KEY_FILE: secretFile('other') })).toMatchObject({
      reducto: { apiKey: REDUCTO_API_KEY },
    })
    expect(
      read({ ...rest, REDUCTO_API_KEY_FILE: secretFile('from-a-file') }, { REDUCTO_API_KEY: 'other' }),
    ).toMatchObject({ reducto: { apiKey: 'from-a-file' } })
  })

  it('of each endpoint for itself', () => {
    expect(
      read(base, { SVIX_WEBHOOK_SECRET_FILE: secretFile(B), SVIX_WEBHOOK_SECRET_DEV_FILE: secretFile(B) }),
    ).toMatchObject({ endpoints: { default: [A], dev: [B] } })
    expect(
      read({ ...base, SVIX_WEBHOOK_SECRET_DEV_FILE: secretFile(A) }, { SVIX_WEBHOOK_SECRET_DEV: B }),
    ).toMatchObject({ endpoints: { default: [A], dev: [A] } })
  })

  it.each([
    [{ HTTPS_PROXY: 'http://a' }, { https_proxy: 'http://b' }, 'http://a/'],
    [{ https_proxy: 'http://a' }, { HTTPS_PROXY: 'http://b' }, 'http://a/'],
    [{ https_proxy: 'http://a' }, { HTTPS_PROXY_FILE: '/nowhere' }, 'http://a/'],
    [{ all_proxy: 'http://a' }, { HTTPS_PROXY: 'http://b' }, 'http://a/'],
    [{ HTTPS_PROXY: 'http://a' }, { ALL_PROXY: 'http://b' }, 'http://a/'],
    [{}, { https_proxy: 'http://b' }, 'http://b/'],
  ])('with a proxy in small or large letters: %j over %j', (env, file, https) => {
    const found = read({ ...base, ...env }, file)
    expect(found).toMatchObject({ proxy: { https } })
    if (Object.keys(env).length > 0) expect(found.left).toEqual(env)
  })

  it.each([
    [{ REDUCTO_BASE_URL: 'https://a.example' }, { REDUCTO_ENVIRONMENT: 'eu' }, 'https://a.example'],
    [{ REDUCTO_ENVIRONMENT: 'eu' }, { REDUCTO_BASE_URL: 'https://b.example' }, 'https://eu.platform.reducto.ai'],
  ])('with one of two settings for the same: %j over %j', (env, file, baseUrl) => {
    const found = read({ ...base, ...env }, file)
    expect(found).toMatchObject({ reducto: { baseUrl } })
    expect(found.left.REDUCTO_BASE_URL).toBe((env as { REDUCTO_BASE_URL?: string }).REDUCTO_BASE_URL)
  })

  it('with one way to the user’s code over the other', () => {
    const forward = { FORWARD_URL: 'http://127.0.0.1:1234/', FORWARD_SECRET: B, PUBLIC_URL: 'https://a.example' }
    expect(read({ ...base, HANDLER: './a.ts' }, forward)).toMatchObject({ handler: { kind: 'module', path: './a.ts' } })
    expect(read({ ...base, ...forward }, { HANDLER: './a.ts' })).toMatchObject({ handler: { kind: 'forward' } })
  })

  it('an empty variable stands for itself alone', () => {
    const { REDUCTO_API_KEY: _, ...rest } = base
    expect(read({ ...rest, REDUCTO_API_KEY_FILE: '' }, { REDUCTO_API_KEY: 'b' })).toMatchObject({
      reducto: { apiKey: 'b' },
    })
  })
})

it.each([
  [{ REDUCTO_API_KEY: 'b', REDUCTO_API_KEY_FILE: '/nowhere' }, ['REDUCTO_API_KEY_FILE: ', 'REDUCTO_API_KEY,']],
  [{ HTTPS_PROXY: 'http://a', https_proxy: 'http://b' }, ['HTTPS_PROXY: ', 'https_proxy,']],
  [
    { REDUCTO_ENVIRONMENT: 'eu', REDUCTO_BASE_URL: 'https://b.example' },
    ['REDUCTO_BASE_URL: ', 'REDUCTO_ENVIRONMENT,'],
  ],
])('two forms in one place are an error that names both: %j', (file, names) => {
  const { stderr } = read({ SVIX_WEBHOOK_SECRET: A }, { REDUCTO_API_KEY: 'b', ...file })
  for (const name of names) expect(stderr).toContain(name)
})
