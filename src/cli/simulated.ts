import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, loadConfig } from '../settings/config.ts'
import { newSecret } from '../signing.ts'
import type { Reducto } from '../simulator/reducto.ts'
import { simulatedSettings } from '../simulator/settings.ts'

/** The settings of a service on a simulated Reducto, which keeps what it has in a new temporary folder. */
export function simulatedConfig(reducto: Reducto, more: Readonly<Record<string, string | undefined>> = {}): Config {
  const folder = mkdtempSync(join(tmpdir(), 'reducto-webhook-receiver-'))
  return loadConfig({
    HOST: '127.0.0.1',
    PORT: '0',
    ...simulatedSettings(reducto, folder, newSecret()),
    SHUTDOWN_GRACE: '2s',
    ...more,
  })
}
