import { z } from 'zod'
import type { ActionName, Actor } from '../../actor.ts'
import { noteAction } from '../../operations/acting.ts'
import { contentFor } from '../content.ts'
import type { Identity } from '../session/identity.ts'
import type { Work } from './table.ts'

/** The parameter by which somebody asks for content that ADMIN_HIDE_CONTENT hides. */
export const CONTENT = {
  content: z
    .enum(['show'])
    .optional()
    .meta({ description: 'with ADMIN_HIDE_CONTENT: shows content to those who may change things, which is noted' }),
}

type Asking = {
  readonly identity: Identity
  readonly query: { readonly content?: 'show' | undefined }
  readonly work: Pick<Work, 'hidesContent' | 'ledger' | 'events'> & { readonly actor: Actor }
}

/** Which content is asked for, as the log of actions has it. */
type Looked = { readonly what: Extract<ActionName, 'show' | 'show_delivery'>; readonly ids: readonly string[] }

/** Whether the caller sees this content. Who looks at what is hidden is noted first: what cannot be noted is not shown. */
export async function isShown({ identity, query, work }: Asking, { what, ids }: Looked): Promise<boolean> {
  const hides = work.hidesContent
  const content = contentFor({ hides, role: identity.role, isAskedFor: query.content === 'show' })
  if (content === 'revealed') await noteAction(work, { what, filter: null, ids })
  return content !== 'hidden'
}

/** What an answer says where content was left out of it. */
export const HIDDEN = { content: 'hidden' } as const
