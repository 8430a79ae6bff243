import type { Request } from 'express'
import { InboxUnavailable } from '../../inbox/inbox.ts'
import { type TroubleModel, troublePage } from '../../operator/trouble.ts'
import { ResultsUnavailable } from '../../results/results.ts'
import { html, type Reply } from '../replies.ts'
import { lookOf } from './context.ts'

export type Trouble = TroubleModel & { readonly status: 500 | 503 }

/** Something that a page waited for has not answered in time. */
export class TooSlow extends Error {
  override readonly name = 'TooSlow'
}

export const NOT_OPEN: Trouble = {
  status: 503,
  title: 'The service is starting, or stopping.',
  text: 'Svix keeps what it cannot deliver, and tries again for about a day. Try again in a moment.',
  detail: null,
}

export const BUSY: Trouble = {
  status: 503,
  title: 'Too many pages are asked for at once.',
  text: 'Deliveries come first. Try again in a moment.',
  detail: null,
}

/** What a person is told of an error; `isExpected`: it needs no line in the log of this service's own errors. */
export function troubleOf(error: unknown): Trouble & { readonly isExpected: boolean } {
  if (error instanceof InboxUnavailable)
    return {
      status: 503,
      title: 'The database does not answer.',
      text: 'Deliveries cannot be recorded while that lasts; Svix keeps them, and tries again for about a day. Look at its disk, and at the log of the service.',
      detail: error.message,
      isExpected: true,
    }
  if (error instanceof ResultsUnavailable)
    return {
      status: 503,
      title: 'The results cannot be read now.',
      text: 'Deliveries are accepted, and the worker goes on when the store answers again.',
      detail: error.message,
      isExpected: true,
    }
  if (error instanceof TooSlow)
    return {
      status: 503,
      title: 'This took too long.',
      text: 'The database or the store of results is slow, or does not answer. Deliveries are accepted as long as /readyz says so.',
      detail: null,
      isExpected: true,
    }
  return {
    status: 500,
    title: 'This page could not be made.',
    text: 'The log of the service says why. What the service does for deliveries does not depend on its pages.',
    detail: null,
    isExpected: false,
  }
}

/** A page that says so: whoever looks is a person. */
export function troubleReply(
  request: Request,
  { status, ...model }: Trouble,
  { assets, publicUrl }: { readonly assets: string; readonly publicUrl: string | null },
): Reply {
  const page = { ...lookOf(request, publicUrl), assets }
  return html(status, String(troublePage(page, model)), status === 503 ? { 'retry-after': '2' } : {})
}
