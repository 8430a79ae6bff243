import { createWalkThread } from '../../answer/walk-thread.ts'
import { viewResult } from '../../handler/result-view.ts'
import { stringifyLossless } from '../../lossless-json.ts'
import { print } from '../output.ts'
import type { Saved } from './saved.ts'

export type Part = 'extracted' | 'chunks' | 'record'

/**
 * Prints what a handler would get from an accessor as JSON: chunks a line each, all else on lines for people where a terminal
 * is. It ends after `timeout` ms.
 */
export async function printPart(part: Part, { record, results }: Saved, timeout: number): Promise<void> {
  if (part === 'record') return void print(`${stringifyLossless(record, indent())}\n`)
  const walk = createWalkThread()
  try {
    const result = viewResult(record, { results, walk }, AbortSignal.timeout(timeout))
    if (result.status !== 'Completed')
      throw new Error(`the job ${record.job_id} is ${result.status}, and has no ${part}`)
    if (part === 'extracted') print(`${JSON.stringify(await result.extracted(), null, indent())}\n`)
    else for await (const chunk of result.chunks()) print(`${JSON.stringify(chunk)}\n`)
  } finally {
    await walk.close()
  }
}

function indent(): number {
  return process.stdout.isTTY ? 2 : 0
}
