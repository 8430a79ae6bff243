import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from '../settings/config.ts'
import { simulatedSettings } from '../simulator/settings.ts'

/**
 * Writes the settings of the demo's service beside its database, where they protect nothing, and returns the command that
 * diagnoses it while it runs.
 */
export function doctorCommand(config: Config, port: number, reducto: { url: string; apiKey: string }): string {
  if (config.results.kind !== 'file') throw new Error('the demo keeps its results in a folder')
  const folder = dirname(config.results.path)
  const [secret = ''] = config.endpoints.get('default') ?? []
  const settings = { HOST: '127.0.0.1', PORT: String(port), ...simulatedSettings(reducto, folder, secret) }
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(join(folder, '.env'), lines.join(''), { mode: 0o600 })
  return `(cd ${folder} && node ${process.argv[1]} doctor --url http://127.0.0.1:${port})`
}
