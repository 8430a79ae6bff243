import { MAX_REASON, pauseWork, resumeWork } from '../operations/pause.ts'
import { type Run, WrongUse } from './command.ts'
import { openForOperator } from './open.ts'
import { print, printError, printJson } from './output.ts'
import type { pause, resume } from './spec/service.ts'
import { ago, oneLine } from './table.ts'

/** `pause [--reason TEXT]`. */
export const runPause: Run<typeof pause> = async ({ values }) => {
  const reason = values.reason === undefined ? null : oneLine(values.reason).trim()
  if (reason === '' || (reason?.length ?? 0) > MAX_REASON)
    throw new WrongUse(`--reason takes a text of 1 to ${MAX_REASON} characters`)
  await using operator = await openForOperator()
  const paused = await pauseWork(operator, reason)
  if (values.json) return printJson({ paused: true, ...paused.pause, wasPaused: paused.was !== null })
  if (paused.was) printError(`It was paused already, since ${ago(paused.was.since)}.`)
  return print('Paused: deliveries are accepted, nothing is fetched or handed over until `resume`.\n')
}

/** `resume`. */
export const runResume: Run<typeof resume> = async ({ values }) => {
  await using operator = await openForOperator()
  const { was } = await resumeWork(operator)
  if (values.json) return printJson({ paused: false, wasPaused: was !== null, ...(was ?? {}) })
  return print(was ? `Resumed: it was paused since ${ago(was.since)}.\n` : 'It was not paused.\n')
}
