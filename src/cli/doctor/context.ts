import { type OpenedDoctor, openDoctor as openContext } from '../../doctor/open.ts'
import { readSettings } from '../../doctor/read-settings.ts'
import { environment } from '../../settings/environment.ts'
import type { Env } from '../../settings/given.ts'
import { createHandlerTrial } from './handler.ts'

type Opened = OpenedDoctor & {
  /** Removes what was made, for a process that is about to end. */
  clear(): void
}

/** What doctor looks at on this machine, as far as the settings allow. Opens nothing before a check asks for it. */
export async function openDoctor(options: {
  readonly url: URL | null
  readonly sample: boolean
  /** Default: this process's. */
  readonly env?: Env
  /** How long the public URL may take to answer, ms; default: as long as Svix waits. */
  readonly timeout?: number
}): Promise<Opened> {
  const settings = readSettings(options.env ?? environment())
  const trial = createHandlerTrial({ settings, secrets: settings.secrets })
  const { url, timeout, sample } = options
  const handler = { tryHandler: sample ? trial.call : null, loadHandler: trial.load }
  const opened = openContext({ settings, url, timeout, ...handler })
  return {
    ...opened,
    clear: trial.clear,
    async close() {
      trial.clear()
      await opened.close()
    },
  }
}
