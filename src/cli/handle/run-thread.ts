import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { HandedOver } from '../../handler/hand-over.ts'
import type { HandlerThreadData, ThreadJob, ThreadMessage } from './handler-thread.ts'

/** `.ts` where this module is, `.js` in a built package. */
const THREAD = new URL(`./handler-thread${extname(import.meta.filename)}`, import.meta.url)

/** A call of the handler, or what kept it from one; told in a sentence. */
export type Called =
  | { readonly is: 'handed'; readonly handed: HandedOver; readonly ms: number }
  | { readonly is: 'failed'; readonly message: string }

/** After HANDLER_TIMEOUT, which the thread itself heeds unless its code blocks it, ms. */
const BLOCKED_AFTER_MS = 1_000
/** How long the thread may take until it loads the handler, ms. */
const MAX_BEGIN_MS = 60_000
/** A thread that does not end (a system call that blocks) is left behind after so long, ms. */
const MAX_END_MS = 1_000

/**
 * Loads the handler in a thread of its own, calls it with the job that `job` makes meanwhile, and ends the thread. A handler
 * that blocks for ever, or ends its process, is told as a failure.
 */
export async function callInThread(data: HandlerThreadData, job: () => Promise<ThreadJob>): Promise<Called> {
  const worker = new Worker(THREAD, { workerData: data, name: 'handler' })
  const messages = createMessages(worker)
  try {
    const loaded = await loading(messages, data)
    if (loaded.is !== 'loaded') return asCalled(loaded)
    worker.postMessage(await job())
    return asCalled(await messages.next(data.timeout + BLOCKED_AFTER_MS, 'the handler blocked its thread'))
  } finally {
    await ended(worker)
  }
}

/** Only loads the handler. Null: it can be loaded; else why not, in a sentence. */
export async function loadInThread(data: HandlerThreadData): Promise<string | null> {
  const worker = new Worker(THREAD, { workerData: data, name: 'handler' })
  try {
    const loaded = await loading(createMessages(worker), data)
    if (loaded.is === 'loaded') return null
    const called = asCalled(loaded)
    return called.is === 'failed' ? called.message : null
  } finally {
    await ended(worker)
  }
}

/** What became of loading the handler. The thread's own start is not counted: a busy machine takes seconds for it. */
async function loading(messages: Messages, { path, timeout }: HandlerThreadData): Promise<ThreadMessage | Failed> {
  const begun = await messages.next(MAX_BEGIN_MS + BLOCKED_AFTER_MS, 'the thread for the handler did not start')
  if (begun.is !== 'begun') return begun
  return messages.next(timeout + BLOCKED_AFTER_MS, `${path} blocked while it was loaded`)
}

type Failed = { readonly is: 'failed'; readonly message: string }

type Messages = ReturnType<typeof createMessages>

/** What the thread says, one after another, or why it says nothing any more. */
function createMessages(worker: Worker) {
  const waiting: (ThreadMessage | Failed)[] = []
  let wake = () => {}
  const add = (one: ThreadMessage | Failed) => {
    waiting.push(one)
    wake()
  }
  worker.on('message', add)
  worker.on('error', (error: Error) =>
    add({ is: 'failed', message: `the handler or a package of it threw outside of the call: ${error.message}` }),
  )
  worker.on('exit', (code) => add({ is: 'failed', message: endedProcess(code) }))

  return {
    /** The next one; after `ms` it is that the thread is blocked. */
    async next(ms: number, blocked: string): Promise<ThreadMessage | Failed> {
      if (waiting.length === 0) {
        const late = Promise.withResolvers<void>()
        const timer = setTimeout(late.resolve, ms)
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), late.promise])
        clearTimeout(timer)
      }
      const message = `${blocked} for longer than ${Math.round((ms - BLOCKED_AFTER_MS) / 100) / 10} s (HANDLER_TIMEOUT): it must give way with await`
      return waiting.shift() ?? { is: 'failed', message }
    },
  }
}

function asCalled(message: ThreadMessage | Failed): Called {
  if (message.is === 'handed' || message.is === 'failed') return message
  return { is: 'failed', message: message.is === 'error' ? message.message : 'the handler was called out of turn' }
}

/** An end with exit code 0 would pass for a handler that works, one with 2 or 78 for another mistake. */
function endedProcess(code: number): string {
  return `the handler or a package of it ended the process (exit code ${code}): it must not call process.exit, and must catch its errors`
}

async function ended(worker: Worker): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, MAX_END_MS)
  await Promise.race([worker.terminate(), late.promise])
  clearTimeout(timer)
}
