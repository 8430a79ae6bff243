import type { JobRow } from '../inbox/inbox.ts'
import { ERASED } from '../job.ts'
import { type Html, html } from './html.ts'
import { type Icon, icon, type Tone } from './icons.ts'

type Shown = { readonly word: string; readonly icon: Icon; readonly tone: Tone }

type Standing = Pick<JobRow, 'state' | 'stage' | 'status' | 'failures' | 'reason'>

/** How a job stands, in a word and a shape. */
export function standingOf({ state, stage, status, failures, reason }: Standing): Shown {
  const isFetch = stage === 'fetch'
  switch (state) {
    case 'done':
      if (reason?.code === ERASED.code) return { word: 'Erased', icon: 'erased', tone: 'wait' }
      return status === 'Failed'
        ? { word: 'Done · Failed', icon: 'failed', tone: 'warn' }
        : { word: 'Done', icon: 'done', tone: 'ok' }
    case 'dead':
      return { word: 'Dead', icon: 'dead', tone: 'bad' }
    case 'expected':
      return { word: 'Expected', icon: 'expected', tone: 'wait' }
    case 'running':
      return { word: isFetch ? 'Fetching' : 'Handing over', icon: 'running', tone: 'accent' }
    case 'queued':
      if (failures > 0 && reason)
        return { word: isFetch ? 'Retrying fetch' : 'Retrying handler', icon: 'retrying', tone: 'warn' }
      return { word: isFetch ? 'Waiting' : 'Waiting, saved', icon: 'waiting', tone: 'wait' }
  }
}

export function stateLabel(job: Standing): Html {
  const shown = standingOf(job)
  return html`<span class="state">${icon(shown.icon, shown.tone)}<span>${shown.word}</span></span>`
}

/** What a code of a reason means, in a few words; where none is known, the code itself. */
export function causeText(code: string): string {
  const known = CAUSES[code]
  if (known !== undefined) return known
  const status = /^(http|forward)_(\d{3})$/.exec(code)
  if (!status) return code
  return status[1] === 'http' ? `Reducto answered ${status[2]}` : `Your service answered ${status[2]}`
}

const CAUSES: Readonly<Record<string, string>> = {
  unknown_job: 'Reducto knows no such job',
  deleted: 'Deleted at Reducto',
  unfinished: 'Never finished at Reducto',
  no_result: 'Completed without a result',
  result_missing: 'A part of the result is missing',
  too_large: 'Too large',
  too_complex: 'Too complex',
  document_crashed: 'A document could not be read',
  unreadable: 'An answer could not be read',
  stalled: 'An answer stalled',
  network: 'Reducto could not be reached',
  reducto_auth: 'Reducto refused the key',
  results: 'The results store refused it',
  disk: 'No room on the disk',
  result_not_saved: 'The saved result is gone',
  handler: 'Your handler failed',
  handler_timeout: 'Your handler took too long',
  refused: 'Refused by your handler',
  forward: 'Your service could not be reached',
  crashed: 'The service died of it',
  process_died: 'The service died meanwhile',
  erased: 'Erased by an operator',
}
