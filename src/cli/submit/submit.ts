import { readFileSync } from 'node:fs'
import { parseLossless } from '../../lossless-json.ts'
import { nearest } from '../../nearest.ts'
import { expectJob, expectProblem } from '../../operations/expect.ts'
import type { Client } from '../../reducto/client.ts'
import { ReductoError } from '../../reducto/errors.ts'
import { metadataIn, type SubmitKind, type SubmitOptions, submissionOf, submitJob } from '../../reducto/submit.ts'
import { uploadFile } from '../../reducto/upload.ts'
import { loadConfig } from '../../settings/config.ts'
import { environment } from '../../settings/environment.ts'
import { type Run, WrongUse } from '../command.ts'
import { type Operator, openForOperator } from '../open.ts'
import { counted, print, printError, printJson } from '../output.ts'
import { showProgress } from '../progress.ts'
import { openReducto } from '../reducto.ts'
import { SUBMIT_KINDS, type submit } from '../spec/submit.ts'
import { oneLine } from '../table.ts'
import { jsonOf, numberOf } from '../values.ts'
import { type Input, inputsOf } from './inputs.ts'
import { createStop, type Stop } from './stop.ts'

/** A large document over a slow line. Ms. */
const UPLOAD_TIMEOUT_MS = 30 * 60_000

/**
 * What became of one input. `unregistered`: the job exists, and could not be registered; `skipped`: it was not tried, since
 * the run ended before.
 */
type Outcome = { readonly input: string; readonly jobId: string | null } & (
  | { readonly is: 'submitted' }
  | { readonly is: 'refused' | 'lost' | 'unregistered' | 'skipped'; readonly message: string }
)

type Deps = { readonly api: Client; readonly uploads: Client; readonly operator: Operator; readonly stop: Stop }
type Call = SubmitOptions & { readonly kind: SubmitKind; readonly endpoint: string | undefined }

/** `submit KIND INPUT…`: exit 1 when one of the inputs has no registered job. */
export const runSubmit: Run<typeof submit> = async ({ args: [kind = '', ...texts], values }) => {
  const call: Call = {
    kind: kindOf(kind),
    channels: values.channel,
    metadata: jsonOf('metadata', values.metadata),
    options: optionsIn(values.options),
    endpoint: values.endpoint,
  }
  const inputs = inputsOf(texts)
  const concurrency = numberOf('concurrency', values.concurrency, 1, 32)
  const problem = expectProblem({
    metadata: metadataIn(submissionOf(call.kind, '', call)),
    endpoint: call.endpoint,
  })
  if (problem !== null) throw new WrongUse(problem)
  const config = loadConfig(environment(), ['reducto', 'proxy'])
  // Opened first: what could not be registered is not submitted.
  await using operator = await openForOperator()
  await using api = openReducto(config)
  await using uploads = openReducto(config, UPLOAD_TIMEOUT_MS)
  const progress = showProgress(process.stderr)
  const underWay = new Set<Input>()
  const outcomes: Outcome[] = []
  const stop = createStop(
    () => {
      progress.end()
      printError(
        `Stopping: nothing more is submitted, and the answers of ${counted(underWay.size, 'input')} are awaited. Once more ends at once.`,
      )
    },
    () => {
      progress.end()
      for (const input of underWay) tell({ ...named(input), is: 'lost', message: 'the command was ended' })
    },
  )
  const deps = { api: api.client, uploads: uploads.client, operator, stop }

  const waiting = [...inputs]
  async function work(): Promise<void> {
    for (let input = waiting.shift(); input; input = waiting.shift()) {
      underWay.add(input)
      const outcome = await submitOne(input, call, deps)
      underWay.delete(input)
      outcomes.push(outcome)
      progress.end()
      if (!values.json && outcome.is !== 'skipped') tell(outcome)
      progress.done(outcomes.length, inputs.length)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work)).finally(progress.end)
  const skipped = outcomes.filter(({ is }) => is === 'skipped').length
  if (skipped > 0) printError(`${counted(skipped, 'input was', 'inputs were')} not submitted: ${stop.reason}`)
  const submitted = outcomes.filter(({ is }) => is === 'submitted').length
  if (values.json) printJson({ outcomes })
  else if (inputs.length > 1) printError(`${counted(submitted, 'job')} of ${inputs.length} submitted and expected`)
  return submitted === inputs.length ? 0 : 1
}

const named = (input: Input) => ({ input: input.text, jobId: null })

async function submitOne(input: Input, call: Call, { api, uploads, operator, stop }: Deps): Promise<Outcome> {
  const skipped = (): Outcome => ({ ...named(input), is: 'skipped', message: stop.reason ?? '' })
  if (stop.reason !== null) return skipped()
  let document = input.text
  if (input.is === 'file') {
    try {
      document = await uploadFile(uploads, input.text, stop.signal)
    } catch (error) {
      if (stop.reason !== null) return skipped()
      stopIfRefused(error, stop)
      return { ...named(input), is: 'refused', message: `the upload failed: ${(error as Error).message}` }
    }
    if (stop.reason !== null) return skipped()
  }
  const body = submissionOf(call.kind, document, call)
  // Not interrupted: once it is sent, only the answer says which job it made.
  const result = await submitJob(api, call.kind, body, new AbortController().signal)
  if (result.is === 'refused') stopIfRefused(result.error, stop)
  if (result.is !== 'submitted') return { ...named(input), is: result.is, message: result.error.message }
  const { jobId } = result
  try {
    const expected = await expectJob(operator, jobId, { metadata: metadataIn(body), endpoint: call.endpoint }, 'submit')
    if (expected.is === 'refused') return { ...named(input), is: 'unregistered', jobId, message: expected.message }
    return { ...named(input), is: 'submitted', jobId }
  } catch (error) {
    return { ...named(input), is: 'unregistered', jobId, message: (error as Error).message }
  }
}

/** A key that is refused for one is refused for all: the rest would be uploaded for nothing. */
function stopIfRefused(error: unknown, stop: Stop): void {
  if (error instanceof ReductoError && error.status === 401) stop.now(`Reducto refuses the key (${error.message})`)
}

function tell(outcome: Outcome): void {
  const { input, jobId } = outcome
  if (jobId !== null) print(`${jobId}  ${oneLine(input)}\n`)
  if (outcome.is === 'submitted') return
  const message = oneLine(outcome.message)
  if (outcome.is === 'refused') printError(`${oneLine(input)}: not submitted. ${message}`)
  else if (outcome.is === 'unregistered')
    printError(`${jobId} was submitted, and could not be registered (${message}): run jobs add ${jobId}`)
  else
    printError(
      `${oneLine(input)}: the job may exist, since the answer was lost (${message}). It was not submitted again. ` +
        'Its webhook will tell its end; to look for it: reconcile --all --since 1h --dry-run, or the jobs in Reducto Studio.',
    )
}

function kindOf(text: string): SubmitKind {
  const kind = SUBMIT_KINDS.find((one) => one === text)
  if (kind) return kind
  const near = nearest(text, SUBMIT_KINDS)
  throw new WrongUse(`submit takes one of ${SUBMIT_KINDS.join(', ')}${near ? `; did you mean ${near}?` : ''}`)
}

function optionsIn(path: string | undefined): Readonly<Record<string, unknown>> {
  if (path === undefined) return {}
  let value: unknown
  try {
    value = parseLossless(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new WrongUse(`--options ${path}: cannot be read as JSON: ${(error as Error).message}`)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new WrongUse(`--options ${path}: must be a JSON object, such as {"settings":{"page_range":{"end":3}}}`)
}
