import type { Role } from './session/cookie.ts'

/** Whether ADMIN_HIDE_CONTENT hides content: metadata, bodies of deliveries and what is in results. */

/** `revealed`: it is hidden, and somebody who may see it has asked for it. That is noted before it is shown. */
export type Content = 'open' | 'hidden' | 'revealed'

type Looker = {
  /** ADMIN_HIDE_CONTENT. */
  readonly hides: boolean
  readonly role: Role
  /** This very content was asked for: on a page by a click, of the API with `content=show`. */
  readonly isAskedFor: boolean
}

/** What somebody sees. The one rule, for pages and API: content that is hidden is for those who may change things. */
export function contentFor({ hides, role, isAskedFor }: Looker): Content {
  if (!hides) return 'open'
  return role === 'write' && isAskedFor ? 'revealed' : 'hidden'
}
