import { isLosslessNumber, stringifyLossless } from '../../lossless-json.ts'
import { metadataValueIn } from '../metadata.ts'
import { keyOf } from './query.ts'
import { wordsOf } from './words.ts'

/**
 * Characters of metadata that search knows of a job, keys and values together, in their order: an index of more would be as
 * large as the database. What lies behind them is not found, with the index or without.
 */
const MAX_CHARACTERS = 4096

/** A value's words, and the names of the members that it lies in, from the outside in. */
export type SearchText = { readonly keys: readonly string[]; readonly words: readonly string[] }

/** `cost`: characters of its name. */
type Open = { readonly keys: readonly string[]; readonly value: unknown; readonly cost: number }

/** The metadata of a delivery's body as texts to search: strings, numbers with their digits, `true` and `false`. Never throws. */
export function textsOf(body: string): readonly SearchText[] {
  const texts: SearchText[] = []
  let left = MAX_CHARACTERS
  // A list rather than recursion: bodies that concern no job may be nested deeply.
  const open: Open[] = [{ keys: [], value: metadataValueIn(body), cost: 0 }]
  for (let next = open.pop(); next !== undefined && left > 0; next = open.pop()) {
    const { keys, value, cost } = next
    left -= cost
    const text = textOf(value)
    if (text !== null) {
      const words = wordsOf(text.slice(0, Math.max(left, 0)))
      left -= Math.max(text.length, 1)
      if (words.length > 0) texts.push({ keys, words })
    } else if (Array.isArray(value)) {
      for (const item of value.slice(0, MAX_CHARACTERS).reverse()) open.push({ keys, value: item, cost: 0 })
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, member] of Object.entries(value).slice(0, MAX_CHARACTERS).reverse()) {
        const key = keyOf(name.slice(0, MAX_CHARACTERS))
        open.push({ keys: key === '' ? keys : [...keys, key], value: member, cost: name.length })
      }
    }
  }
  return texts
}

/** Null for what holds values, and for `null`. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return isLosslessNumber(value) ? stringifyLossless(value) : null
}
