import type { DeliveryDetail } from '../../inbox/inbox.ts'
import { type NotedDelivery, showDelivery } from '../../operations/deliveries.ts'
import type { Run } from '../command.ts'
import { openForOperator } from '../open.ts'
import { print, printJson } from '../output.ts'
import type { deliveriesShow } from '../spec/deliveries.ts'
import { ago, oneLine, table } from '../table.ts'

/** `deliveries show ID`. */
export const runShowDelivery: Run<typeof deliveriesShow> = async ({ args: [id = ''], values }) => {
  await using operator = await openForOperator()
  const shown = await showDelivery(operator, id)
  if (shown.is === 'refused') throw new Error(oneLine(shown.message))
  return values.json ? printJson(shown.delivery) : print(describe(shown.delivery))
}

function describe(one: DeliveryDetail & NotedDelivery): string {
  const time = (at: number) => `${new Date(at).toISOString()} (${ago(at)})`
  const facts = [
    ['Delivery', one.svixId],
    ['Taken as', one.disposition],
    ...(one.note === null ? [] : [['Why', one.note]]),
    ...(one.jobId === null ? [] : [['Job', one.jobId]]),
    ...(one.status === null ? [] : [['Status', one.status]]),
    ['Endpoint', one.endpoint],
    ['Received', time(one.receivedAt)],
    ...(one.arrivals > 1 ? [['Again', `${one.arrivals} times in all, last ${time(one.lastAt)}`]] : []),
  ]
  return `${table(['', ''], facts).replace(/^.*\n/, '')}\n${one.body === null ? 'Its body was erased.' : oneLine(one.body)}\n`
}
