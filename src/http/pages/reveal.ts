import { isJobId } from '../../job.ts'
import { noteAction } from '../../operations/acting.ts'
import { contentFor } from '../content.ts'
import { actingIn } from './changes.ts'
import { QueryRefused } from './filter.ts'
import { showRevealed } from './jobs.ts'
import { showRevealedDelivery } from './lists.ts'
import type { Handle, Visit } from './visit.ts'

/** Content that ADMIN_HIDE_CONTENT hides, for a person who may change things: first it is noted who looks at it. */

export const revealJobRoute: Handle = async (visit) => {
  const id = String(visit.request.params.id)
  if (!isJobId(id)) throw new QueryRefused('this is no id of a job')
  if ((await visit.opened.ledger.get(id)) === null) return visit.goTo(['jobs', id])
  await askToSee(visit, 'show', id)
  await showRevealed(visit)
}

export const revealDeliveryRoute: Handle = async (visit) => {
  const id = String(visit.request.params.id)
  // What is noted is the delivery itself, not a start of its id, and nothing where there is none.
  if ((await visit.opened.ledger.delivery(id)) === null) return visit.goTo(['deliveries', id])
  await askToSee(visit, 'show_delivery', id)
  await showRevealedDelivery(visit)
}

/** Notes the look where content is hidden. @throws QueryRefused for somebody who may not see it */
async function askToSee(visit: Visit, what: 'show' | 'show_delivery', id: string): Promise<void> {
  const content = contentFor({ hides: visit.deps.service.hidesContent, role: visit.page.role, isAskedFor: true })
  if (content === 'hidden') throw new QueryRefused('content is hidden here')
  if (content === 'revealed') await noteAction(actingIn(visit), { what, filter: null, ids: [id] })
}
