import type { Ledger, OperatorPause } from '../inbox/inbox.ts'
import { type ActingDeps, noteServiceAction } from './acting.ts'

/** `was`: the pause that held before, since which it holds; null when claims went on. */
export type Paused = { readonly is: 'paused'; readonly pause: OperatorPause; readonly was: OperatorPause | null }
export type Resumed = { readonly is: 'resumed'; readonly was: OperatorPause | null }

/** A reason longer than this is no reason but a document. Characters. */
export const MAX_REASON = 200

type PauseDeps = ActingDeps & { readonly ledger: Pick<Ledger, 'pause' | 'service' | 'note'> }

/** Stops the fetching and handing over of jobs, in every process and over restarts. Deliveries are still accepted. */
export async function pauseWork(deps: PauseDeps, given: string | null): Promise<Paused> {
  const { ledger } = deps
  const reason = given === null ? null : given.slice(0, MAX_REASON)
  const was = (await ledger.service()).pause
  await noteServiceAction(deps, 'pause', reason === null ? null : { reason })
  await ledger.pause(true, ...(reason === null ? [] : [reason]))
  const { pause } = await ledger.service()
  // Somebody may resume it between the two.
  return { is: 'paused', pause: pause ?? { since: Date.now(), reason }, was }
}

/** Lets jobs be fetched and handed over again. */
export async function resumeWork(deps: PauseDeps): Promise<Resumed> {
  const { ledger } = deps
  const was = (await ledger.service()).pause
  await noteServiceAction(deps, 'resume', null)
  await ledger.pause(false)
  return { is: 'resumed', was }
}
