import type { JobDetail } from '../inbox/inbox.ts'
import { ERASED } from '../job.ts'
import type { JobRecord } from '../results/record.ts'
import { shown } from './html.ts'
import type { Icon, Tone } from './icons.ts'
import { causeText, standingOf } from './state.ts'
import { lastedText, spanText, tookText } from './time.ts'

/** How one job stands, why, and what to do about it. */
export type JobVerdict = {
  readonly icon: Icon
  readonly tone: Tone
  readonly bold: string
  readonly text: string
  /** What was said when it failed last. */
  readonly error: string | null
}

export type JobSituation = {
  readonly now: number
  readonly job: Pick<
    JobDetail,
    'state' | 'stage' | 'status' | 'failures' | 'reason' | 'dueAt' | 'createdAt' | 'updatedAt' | 'deliveries'
  >
  readonly record: Pick<JobRecord, 'status' | 'reason' | 'complete' | 'gave_up' | 'files'> | null
  readonly hasHandler: boolean
  /** When Reducto deletes a result that is not saved, ms. */
  readonly purgeAt: number
}

export function jobVerdictOf(situation: JobSituation): JobVerdict {
  const { job } = situation
  const { icon, tone } = standingOf(job)
  return { icon, tone, ...VERDICTS[job.state](situation) }
}

type Words = Pick<JobVerdict, 'bold' | 'text' | 'error'>

const VERDICTS: Readonly<Record<JobDetail['state'], (situation: JobSituation) => Words>> = {
  expected: ({ job, now }) => ({
    bold: 'Submitted; no delivery has announced its end yet.',
    text: `Registered ${lastedText(now - job.createdAt)} ago. A long document takes a while; when the webhook is lost, “reconcile” finds the job.`,
    error: null,
  }),
  running: ({ job, hasHandler }) => ({
    bold: job.stage === 'fetch' ? 'Being fetched right now.' : 'Being handed over right now.',
    text: job.stage === 'fetch' && hasHandler ? 'It is saved, then handed to your handler.' : '',
    error: null,
  }),
  queued: waits,
  dead: isDead,
  done: isDone,
}

function waits({ job, now, purgeAt }: JobSituation): Words {
  const next = job.dueAt > now ? `in ${spanText(job.dueAt - now)}` : 'now'
  const isFetch = job.stage === 'fetch'
  const error = job.reason && shown(job.reason.message)
  const purge = purgeAt > now ? `Reducto keeps the result for about ${spanText(purgeAt - now)} more.` : ''
  if (job.failures === 0) {
    const waiting = error === null ? 'Waiting for its turn.' : `${waitText(job.reason!.code)}; looked at again ${next}.`
    return {
      bold: isFetch ? waiting : 'The result is saved; waiting for your handler.',
      text: isFetch ? purge : '',
      error,
    }
  }
  const times = job.failures === 1 ? 'once' : `${job.failures} times in a row`
  return isFetch
    ? { bold: `It could not be fetched yet: failed ${times}.`, text: `The next try is ${next}. ${purge}`.trim(), error }
    : {
        bold: `The result is saved; your handler has failed ${times}.`,
        text: `The next call is ${next}. Nothing is fetched again, and nothing expires.`,
        error,
      }
}

/** It is not over yet. */
function waitText(code: string): string {
  return code === 'unfinished' ? 'Not finished at Reducto yet' : causeText(code)
}

function isDead({ job, now, purgeAt }: JobSituation): Words {
  const error = job.reason && shown(job.reason.message)
  if (job.stage === 'hand_over') {
    const refused = job.reason?.code === 'refused'
    return {
      bold: refused
        ? 'The result is saved; your handler refused it.'
        : 'The result is saved; your handler could not take it.',
      text: 'Nothing will be fetched again, and nothing expires. Fix the handler or the data, then press Replay: the handler is called with what is saved.',
      error,
    }
  }
  const left =
    purgeAt > now
      ? `Reducto still has the result, for about ${spanText(purgeAt - now)}: press Retry before that.`
      : 'Reducto has probably deleted the result by now; Retry tells.'
  return { bold: `It could not be fetched. ${job.reason ? causeText(job.reason.code) : ''}`.trim(), text: left, error }
}

function isDone({ job, record, now, hasHandler }: JobSituation): Words {
  if (job.reason?.code === ERASED.code)
    return {
      bold: 'Erased by an operator.',
      text: 'Result, metadata and bodies are gone; the ids stay, so that no repeated delivery brings it back.',
      error: null,
    }
  const taken = hasHandler ? ', and taken by your handler' : ''
  const arrivals = job.deliveries.reduce((sum, one) => sum + one.arrivals, 0)
  const repeats = arrivals > 1 ? ` It arrived ${arrivals} times; it was fetched and saved once.` : ''
  const done = `Done ${tookText(job.updatedAt - job.createdAt)} after it was first heard of.${repeats}`
  if (job.status === 'Failed')
    return {
      bold: `Reducto could not process it; that is saved${taken}.`,
      text: `${done} Submit the document again when its cause is mended.`,
      error: record?.reason ? shown(record.reason) : null,
    }
  if (record === null)
    return {
      bold: `Done ${lastedText(now - job.updatedAt)} ago; no result is saved any more.`,
      text: done,
      error: null,
    }
  const missing = record.files.failed
  const lacks = record.complete
    ? ''
    : missing > 0
      ? ` ${missing} of its files could not be downloaded.`
      : ' Not all of it could be read.'
  return { bold: `Saved ${lastedText(now - job.updatedAt)} ago${taken}.`, text: `${done}${lacks}`, error: null }
}
