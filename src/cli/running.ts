import { isServiceRunning } from '../inbox/open.ts'
import type { Operator } from './open.ts'
import { printError } from './output.ts'
import { ago, oneLine } from './table.ts'

/** Says when what was queued has to wait: no service runs, or it is paused. */
export async function tellService({ ledger, config }: Pick<Operator, 'ledger' | 'config'>): Promise<void> {
  if (!(await isServiceRunning(config.database, ledger)))
    return printError('No service runs on this database: they wait until one does.')
  const { pause } = await ledger.service()
  if (pause === null) return
  const why = pause.reason === null ? '' : ` (${oneLine(pause.reason)})`
  printError(`The worker has been paused since ${ago(pause.since)}${why}: they wait until \`resume\`.`)
}
