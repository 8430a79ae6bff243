import type { JobState } from '../../job.ts'
import type { Reading, SearchQuery, Term } from './query.ts'
import { type SearchText, textsOf } from './texts.ts'
import { wordsOf } from './words.ts'

/** What search looks at of a job, beside its ids. `body`: of its first delivery. */
export type Searched = {
  readonly state: JobState
  readonly code: string | null
  readonly message: string | null
  readonly body: string | null
}

/** Whether all that was asked for stands in the job's metadata or in its error. */
export function matches({ terms }: SearchQuery, job: Searched): boolean {
  if (terms.length === 0) return false
  const error = errorTexts(job)
  const rest = terms.filter((term) => !isIn(term, error))
  if (rest.length === 0) return true
  if (job.body === null) return false
  const texts = textsOf(job.body)
  return rest.every((term) => isIn(term, texts))
}

/** Whether any part of what was asked for stands in the job's error. */
export function matchesError({ terms }: SearchQuery, job: Omit<Searched, 'body'>): boolean {
  const error = errorTexts(job)
  return error.length > 0 && terms.some((term) => isIn(term, error))
}

/** Why a job is dead, or is tried again. */
function errorTexts({ state, code, message }: Omit<Searched, 'body'>): readonly SearchText[] {
  if (code === null || state === 'done') return []
  return [code, message ?? ''].map((text) => ({ keys: [], words: wordsOf(text) }))
}

function isIn(term: Term, texts: readonly SearchText[]): boolean {
  return term.some((reading) => texts.some((text) => stands(reading, text)))
}

function stands({ key, words, isPrefix }: Reading, text: SearchText): boolean {
  if (key !== null && !text.keys.includes(key)) return false
  const last = words.length - 1
  for (let at = 0; at + last < text.words.length; at++) {
    const isHere = words.every((word, index) => {
      const found = text.words[at + index]!
      return found === word || (isPrefix && index === last && found.startsWith(word))
    })
    if (isHere) return true
  }
  return false
}
