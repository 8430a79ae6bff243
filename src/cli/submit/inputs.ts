import { statSync } from 'node:fs'
import { explainError } from '../../explain-error.ts'
import { WrongUse } from '../command.ts'

/** A document: something that Reducto can read by itself, or a file that must be uploaded first. */
export type Input = { readonly is: 'url' | 'file'; readonly text: string }

/** What Reducto reads by itself. */
const SCHEMES: ReadonlySet<string> = new Set(['http', 'https', 'reducto', 'jobid', 's3', 'gs'])

/** All inputs are looked at before the first one is submitted. @throws WrongUse */
export function inputsOf(texts: readonly string[]): readonly Input[] {
  return [...new Set(texts)].map((text) => {
    const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(text)?.[1]?.toLowerCase()
    if (scheme === undefined) return fileOf(text)
    if (!SCHEMES.has(scheme))
      throw new WrongUse(`${text}: inputs are files, or begin with https://, reducto:// or jobid://`)
    return { is: 'url', text }
  })
}

function fileOf(text: string): Input {
  const found = look(text)
  if (found === undefined) throw new WrongUse(`${text}: there is no such file`)
  if (!found.isFile()) throw new WrongUse(`${text}: is no file`)
  if (found.size === 0) throw new WrongUse(`${text}: is empty`)
  return { is: 'file', text }
}

function look(text: string) {
  try {
    return statSync(text, { throwIfNoEntry: false })
  } catch (error) {
    throw new WrongUse(`${text}: ${explainError(error)}`)
  }
}
