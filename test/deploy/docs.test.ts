import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { spawnReceiver } from '../support/process.ts'
import { codeBlocks, fileText, instructions, ROOT } from './support.ts'

/** The commands and files that docs/deployment.md prints, as far as they can be tried without an engine or a cluster. */

const page = fileText('docs/deployment.md')
const commands = codeBlocks(page, 'sh').flatMap((block) => block.trim().split('\n'))
const compose = parse(fileText('compose.yaml'))
const services = Object.keys(compose.services)

/** The words behind `docker compose SUBCOMMAND` that are no options: a service stands first, where there is one. */
function words(command: string): string[] {
  return command.split(/\s+/).filter((word) => word !== '' && !word.startsWith('-'))
}

describe('the commands of docs/deployment.md', () => {
  it('are there', () => {
    expect(commands.filter((command) => command.startsWith('docker compose')).length).toBeGreaterThan(10)
    expect(commands.filter((command) => command.startsWith('kubectl')).length).toBeGreaterThan(5)
  })

  it('name services and volumes of compose.yaml', () => {
    for (const command of commands) {
      const [, subcommand, rest = ''] = /^docker compose (?:-p \S+ )?(\S+) ?(.*)$/.exec(command) ?? []
      if (subcommand === undefined) continue
      const [first] = words(rest)
      if (['exec', 'run', 'logs'].includes(subcommand)) expect(services, command).toContain(first)
      else if (subcommand === 'cp') expect(services, command).toContain(first!.split(':')[0])
      else if (first !== undefined) expect(services, command).toContain(first)
      expect(['up', 'ps', 'logs', 'exec', 'run', 'cp', 'stop', 'down', 'build'], command).toContain(subcommand)
    }
    expect(page).toContain(`${compose.name}_data:/to`)
    expect(compose.volumes).toHaveProperty('data')
  })

  const calls = commands.flatMap((command) => /\breceiver ((?:jobs|send-test|backup)\b[^"]*)/.exec(command)?.[1] ?? [])

  it.each([...new Set(calls)])('the program knows: receiver %s', async (call) => {
    const env = { DATABASE_URL: 'sqlite:/nowhere/receiver.db', RESULTS_URL: 'file:/nowhere/results' }
    const run = spawnReceiver(call.split(' '), env)
    // 2 is wrong use. Here it has no database, no secret: any other trouble is this machine's.
    expect(await run.exited, run.output()).not.toBe(2)
  })

  it('name files that are here', () => {
    const named = page.match(/\bdeploy\/[\w./-]+\w/g) ?? []
    const missing = [...new Set(named)].filter((path) => !existsSync(join(ROOT, path)))
    // Where it was before: the last paragraph tells how to come from there.
    expect(missing).toEqual(['deploy/compose.yaml'])
    for (const command of commands.filter((text) => text.startsWith('kubectl apply'))) {
      const path = words(command)[2]!
      expect(existsSync(join(ROOT, path)), command).toBe(true)
    }
  })

  it('build and run the same Node, version and target as the Dockerfile', () => {
    const stages = instructions(fileText('Dockerfile')).flatMap(([name, rest]) => (name === 'FROM' ? [rest] : []))
    for (const [, target] of page.matchAll(/--target (\S+)|build-target = "(\S+)"/g))
      if (target) expect(stages).toContain(`service AS ${target}`)
    const [node = ''] = stages[0]!.split(' ')
    expect(page).toContain(`${node} cp -a`)
    const { version } = JSON.parse(fileText('package.json'))
    for (const [, tag] of page.matchAll(/reducto-webhook-receiver:(\d\S+)/g)) expect(tag).toBe(version)
  })
})

describe('the files of docs/deployment.md', () => {
  it('Compose overrides name services of compose.yaml; Render and Railway have one instance and a health check', () => {
    const [override, published, render] = codeBlocks(page, 'yaml').map((text) => parse(text))
    for (const one of [override, published])
      for (const service of Object.keys(one.services)) expect(services).toContain(service)
    expect(Object.keys(override.secrets)).toEqual(override.services.receiver.secrets)
    expect(render.services[0]).toMatchObject({ healthCheckPath: '/healthz', disk: { mountPath: '/data' } })
    expect(render.services[0].maxShutdownDelaySeconds).toBeGreaterThan(8)
    const railway = JSON.parse(codeBlocks(page, 'json')[0]!)
    expect(railway.deploy).toMatchObject({ healthcheckPath: '/healthz', numReplicas: 1, overlapSeconds: 0 })
    expect(railway.deploy.drainingSeconds).toBeGreaterThan(8)
    // What the target does, where there are no targets.
    const [, , start] = JSON.parse(/^CMD (\["sh".*)$/m.exec(fileText('Dockerfile'))![1]!)
    expect(railway.deploy.startCommand).toBe(`sh -c '${start}'`)
  })

  it('Fly stops no machine, waits for it to end, and mounts the volume', () => {
    const [fly = ''] = codeBlocks(page, 'toml')
    expect(fly).toMatch(/^kill_timeout = 15$/m)
    expect(fly).toMatch(/auto_stop_machines = "off"/)
    expect(fly).toMatch(/destination = "\/data"/)
    expect(fly).toMatch(/build-target = "root-volume"/)
    expect(fly).toMatch(/internal_port = 3000/)
  })
})
