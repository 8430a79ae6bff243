import { parseDuration } from '../units.ts'
import type { Given } from './given.ts'
import { SETTINGS } from './settings.ts'

/** What must hold between how long bodies and how long ids are kept. What is wrong in itself is told elsewhere. */
export function bodyRetentionProblems({ BODY_RETENTION, RETENTION }: Given): string[] {
  if (BODY_RETENTION === undefined) return []
  const bodies = durationOf(BODY_RETENTION)
  const ids = durationOf(RETENTION ?? SETTINGS.RETENTION.default ?? '')
  return bodies !== null && ids !== null && bodies > ids
    ? ['BODY_RETENTION: must not be longer than RETENTION: what is deleted has no body']
    : []
}

function durationOf(text: string): number | null {
  try {
    return parseDuration(text)
  } catch {
    return null
  }
}
