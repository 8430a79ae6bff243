import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/settings/config.ts'
import { newSecret } from '../../src/signing.ts'
import { tempFolder } from '../support/temp.ts'
import { fileText } from './support.ts'

const UNIT = 'deploy/systemd/reducto-webhook-receiver.service'
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

/** Every value of each option, by section. */
function options(unit: string): Record<string, Record<string, string[]>> {
  const sections: Record<string, Record<string, string[]>> = {}
  let section: Record<string, string[]> = {}
  for (const line of unit.split('\n')) {
    const heading = /^\[(\w+)\]$/.exec(line)?.[1]
    const [, option = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (heading !== undefined) sections[heading] = section = {}
    else if (option !== '') section[option] = [...(section[option] ?? []), value]
    else expect(line, 'a comment, or nothing').toMatch(/^(?:#.*)?$/)
  }
  return sections
}

const { Unit, Service, Install } = options(fileText(UNIT))
const one = (option: string) => Service![option]?.at(-1)

describe('the systemd unit', () => {
  it('is started with the machine and comes back, but not with wrong settings', () => {
    expect(Install).toEqual({ WantedBy: ['multi-user.target'] })
    expect(Unit!.StartLimitIntervalSec).toEqual(['0'])
    expect(Service).toMatchObject({ Type: ['exec'], Restart: ['always'], RestartPreventExitStatus: ['78'] })
  })

  it('sets what loads, with secrets from files and everything in its own folder, and leaves time to stop', () => {
    const folder = tempFolder()
    const credentials = Service!.LoadCredential!.map((text) => text.split(':')[0]!)
    for (const name of credentials)
      writeFileSync(join(folder, name), `${name === 'svix-webhook-secret' ? newSecret() : 'key'}\n`)
    const set = Service!.Environment!.map((text) =>
      text.replace('%d', folder).replace('%S', '/var/lib').split(/=(.*)/s),
    )
    const config = loadConfig(Object.fromEntries(set.map(([name, value]) => [name, value])))
    const place = `/var/lib/${one('StateDirectory')}`
    expect(config).toMatchObject({
      host: '127.0.0.1',
      reducto: { apiKey: 'key' },
      database: { path: `${place}/receiver.db` },
      results: { path: `${place}/results` },
    })
    expect(Number(one('TimeoutStopSec')) * 1_000).toBeGreaterThan(config.shutdownGrace)
  })

  it('leaves what is made to its user alone, and lets V8 compile and threads give way', () => {
    expect(Service).toMatchObject({ UMask: ['0077'], ProtectSystem: ['strict'], NoNewPrivileges: ['true'] })
    expect(Service).not.toHaveProperty('MemoryDenyWriteExecute')
    expect(one('SystemCallFilter')).not.toContain('@resources')
  })

  it.runIf(hasSystemd)('is accepted by systemd itself, which rates it as little exposed', () => {
    const root = tempFolder()
    const installed = join(root, 'opt/reducto-webhook-receiver/node_modules/.bin')
    mkdirSync(installed, { recursive: true })
    symlinkSync(process.execPath, join(installed, 'node'))
    const unit = join(root, 'reducto-webhook-receiver.service')
    writeFileSync(unit, fileText(UNIT).replaceAll('/opt/', `${root}/opt/`))
    chmodSync(unit, 0o644)
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
    expect(verified.stderr.split('\n').filter((line) => line.includes('reducto-webhook-receiver.service'))).toEqual([])
    // In tenths; what is below 20 of 100 is "OK".
    execFileSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', unit], { stdio: 'pipe' })
  })
})
