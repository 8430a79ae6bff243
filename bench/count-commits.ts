import { Worker } from 'node:worker_threads'

/** Preloaded into the service: counts the transactions that leave for the database thread, and tells when asked. */

let commits = 0
let accepts = 0
const { postMessage } = Worker.prototype

Worker.prototype.postMessage = function (this: Worker, ...args: Parameters<typeof postMessage>) {
  const { batch } = args[0] as { batch?: readonly (readonly [string])[] }
  const accepted = batch?.filter(([name]) => name === 'accept').length ?? 0
  if (accepted > 0) commits++
  accepts += accepted
  return postMessage.apply(this, args)
}

process.on('message', (message) => {
  if (message === 'reset') commits = accepts = 0
  else process.send!({ commits, accepts })
})
