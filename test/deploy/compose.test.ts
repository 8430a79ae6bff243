import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DCLinter } from 'dclint'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/settings/config.ts'
import { newSecret } from '../../src/signing.ts'
import { parseDuration } from '../../src/units.ts'
import { tempFolder } from '../support/temp.ts'
import { fileText, imageEnvironment, instructions, ROOT, spelledOutEnv } from './support.ts'

type Service = {
  readonly image?: string
  readonly build?: string
  readonly environment: Record<string, string>
  readonly volumes: readonly string[]
  readonly stop_grace_period: string
  readonly [option: string]: unknown
}
const compose = parse(fileText('compose.yaml')) as {
  readonly name: string
  readonly services: Readonly<Record<'receiver' | 'caddy', Service>>
  readonly volumes: Record<string, unknown>
}
const { receiver, caddy } = compose.services

/** The part of dclint that is used: its own types lead to files that its package lacks. */
type Linter = {
  lintFiles(paths: string[], recursive: boolean): { messages: { rule: string; message: string }[] }[]
}

/** What the Compose specification's JSON schema says against a file. */
function schemaErrors(path: string): string[] {
  const linter: Linter = new DCLinter({ rules: {}, quiet: true, debug: false, exclude: [] })
  return linter
    .lintFiles([path], false)
    .flatMap(({ messages }) => messages)
    .filter(({ rule }) => /invalid-(?:schema|yaml)/.test(rule))
    .map(({ message }) => message)
}

/** The environment of the container: the image's, .env, and what compose.yaml sets, the last one wins. */
function containerEnvironment(dotEnv: Record<string, string>): Record<string, string> {
  const set = Object.entries(receiver.environment).map(([name, value]) => [
    name,
    value.replaceAll(/\$\{DOMAIN[^}]*\}/g, 'receiver.example.com'),
  ])
  return { ...imageEnvironment(), ...dotEnv, ...Object.fromEntries(set) }
}

const needed = { SVIX_WEBHOOK_SECRET: newSecret(), REDUCTO_API_KEY: 'key' }

describe('compose.yaml', () => {
  it('fits the schema of the Compose specification', () => {
    expect(schemaErrors(join(ROOT, 'compose.yaml'))).toEqual([])
  })

  it.each([
    ['an option that is unknown', (text: string) => text.replace('read_only:', 'readonly:')],
    ['a value of the wrong type', (text: string) => text.replace(/max-file: "5"/, 'max-file: [5]')],
  ])('(the schema refuses %s)', (_what, damage) => {
    const path = join(tempFolder(), 'compose.yaml')
    writeFileSync(path, damage(fileText('compose.yaml')))
    expect(schemaErrors(path)).not.toEqual([])
  })

  it('has a name of its own, so that no folder’s name chooses the volumes', () => {
    expect(compose.name).toBe('reducto-webhook-receiver')
  })

  it('mounts named volumes that it declares, files that are here, and nothing else', () => {
    for (const { volumes } of [receiver, caddy])
      for (const volume of volumes) {
        const [source = ''] = volume.split(':')
        if (source.startsWith('./')) expect(fileText(source).length, source).toBeGreaterThan(0)
        else expect(Object.keys(compose.volumes)).toContain(source)
      }
    expect(receiver.volumes).toEqual(['data:/data'])
  })

  it.each([
    ['receiver', receiver],
    ['caddy', caddy],
  ])('%s: read-only, without capabilities, bounded in memory, processes and logs, restarted', (_name, service) => {
    expect(service).toMatchObject({
      restart: 'unless-stopped',
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      mem_limit: expect.any(String),
      pids_limit: expect.any(Number),
      logging: { driver: 'local', options: { 'max-size': '20m', 'max-file': '5' } },
    })
  })

  it('DOMAIN is required, and says where it belongs', () => {
    expect(receiver.environment.PUBLIC_URL).toMatch(/^https:\/\/\$\{DOMAIN:\?.*\.env/)
  })

  it('an image of your own is built by one variable', () => {
    expect(receiver.build).toBe('$' + '{RECEIVER_BUILD:-.}')
    expect(receiver).not.toHaveProperty('image')
  })

  it('Caddy is of one patch version, one that holds requests back while the receiver restarts (2.7.5)', () => {
    const [, ...version] = /^caddy:(\d+)\.(\d+)\.(\d+)-alpine$/.exec(caddy.image ?? '')!
    const [major = 0, minor = 0] = version.map(Number)
    expect(major).toBe(2)
    expect(minor).toBeGreaterThan(7)
  })
})

describe('settings of a host’s .env in the container', () => {
  const fixed = { HOST: '127.0.0.1', PORT: '8080', PUBLIC_URL: 'http://localhost:8080', TRUST_PROXY: 'false' }

  it.each([
    ['that says only what it must', {}],
    ['with every default written out', spelledOutEnv()],
    ['for a service on the host', { ...fixed, DATABASE_URL: 'sqlite:/srv/receiver.db', SHUTDOWN_GRACE: '1h' }],
    ['with empty values', { HOST: '', PORT: '', DATABASE_URL: '', TRUST_PROXY: '', SHUTDOWN_GRACE: '' }],
  ])('.env %s: listens where Caddy calls, keeps everything on the volume, stops in time', (_what, dotEnv) => {
    // What Compose alone reads comes into the container too, and must not pass for a slip.
    const ofCompose = { DOMAIN: 'receiver.example.com', RECEIVER_BUILD: './my-receiver' }
    const config = loadConfig(containerEnvironment({ ...dotEnv, ...needed, ...ofCompose }))
    expect(config).toMatchObject({
      host: '0.0.0.0',
      port: 3000,
      publicUrl: 'https://receiver.example.com',
      trustProxy: 1,
      database: { path: '/data/receiver.db' },
      results: { kind: 'file', path: expect.stringMatching(/^(?:\/data|\.\/data)\/results$/) },
    })
    expect(config.shutdownGrace).toBeLessThan(parseDuration(receiver.stop_grace_period))
    expect(fileText('deploy/Caddyfile')).toContain(`reverse_proxy receiver:${config.port}`)
  })

  it('a bucket stays a bucket', () => {
    const config = loadConfig(containerEnvironment({ ...needed, RESULTS_URL: 's3://results/here?region=eu-central-1' }))
    expect(config.results).toMatchObject({ kind: 's3', bucket: 'results' })
  })

  it('relative paths lead to the volume', () => {
    const runs = instructions(fileText('Dockerfile')).filter(([name]) => name === 'RUN')
    expect(runs.some(([, rest]) => rest.includes('ln -s /data data'))).toBe(true)
  })
})
