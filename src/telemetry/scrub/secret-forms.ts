import { squeeze } from './decoded-text.ts'

/** Shorter texts occur in innocent text, and are not secrets. */
const MIN_SECRET_CHARS = 8
/** Without its white space a secret may be this much shorter. */
const MIN_FORM_CHARS = 6
/** A part of a secret at the very end of a truncated text is removed if it has at least this many characters. */
const MIN_PART_CHARS = 8

/**
 * This many characters of a longer secret are enough to remove it anywhere: other programs may shorten what they print.
 */
const MIN_BEGINNING_CHARS = 16

/** Positions of secrets in a text: [start, end). */
export type Found = readonly [start: number, end: number]

/** Finds secrets in any encoding. Ignores case: hex and percent escapes may have either. */
export type FindSecrets = (text: string) => Found[]

/**
 * Searches for secrets as they are, and in base64, base64url and hex: alone, within a longer text that was encoded, or
 * squeezed.
 * `longest`: characters of the longest form.
 */
export function createFindSecrets(secrets: readonly string[]): {
  readonly find: FindSecrets
  /** Finds a secret that is cut off by the end of the text. */
  readonly findCutOff: FindSecrets
  readonly longest: number
} {
  const written = secrets.flatMap(formsOf)
  const forms = [...new Set([...written, ...written.flatMap(squeeze)].map(lower))].filter(
    (form) => form.length >= MIN_FORM_CHARS,
  )

  function find(text: string): Found[] {
    const searched = lower(text)
    const found: Found[] = []
    for (const form of forms) {
      const beginning = form.slice(0, MIN_BEGINNING_CHARS)
      for (let at = searched.indexOf(beginning); at !== -1; ) {
        const end = at + commonLength(form, searched, at)
        found.push([at, end])
        at = searched.indexOf(beginning, end)
      }
    }
    return found
  }

  function findCutOff(text: string): Found[] {
    const end = lower(text.slice(-longest))
    let part = 0
    for (const form of forms)
      for (let length = Math.min(form.length - 1, end.length); length >= Math.max(MIN_PART_CHARS, part + 1); length--)
        if (form[length - 1] === end.at(-1) && end.endsWith(form.slice(0, length))) part = length
    return part === 0 ? [] : [[text.length - part, text.length]]
  }

  const longest = Math.max(0, ...forms.map((form) => form.length))
  return { find, findCutOff, longest }
}

/** How many characters of `form` are in `text` at `at`. */
function commonLength(form: string, text: string, at: number): number {
  let length = 0
  while (length < form.length && text[at + length] === form[length]) length++
  return length
}

function formsOf(secret: string): string[] {
  if (secret.length < MIN_SECRET_CHARS) return []
  const bare = secret.replace(/^whsec_/, '')
  const texts = bare.length < MIN_SECRET_CHARS ? [secret] : [...new Set([secret, bare])]
  const key = bare === secret ? [] : [Buffer.from(bare, 'base64')]
  return [
    ...texts.flatMap((text) => [text, text.replaceAll(' ', '+'), urlSafe(text)]),
    ...texts.flatMap((text) => [...encodings(Buffer.from(text)), ...encodings(Buffer.from(lower(text)))]),
    ...key.map((bytes) => bytes.toString('hex')),
  ]
}

/**
 * Hex, decimals, and base64 at each alignment within an encoded text: only characters that the secret alone determines.
 */
function encodings(bytes: Buffer): string[] {
  // The last form is JSON's for a Buffer.
  const found = [bytes.toString('hex'), [...bytes].join(',')]
  for (const before of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const whole = Math.floor(((before + bytes.length) * 8) / 6)
    const own = text.slice(before === 0 ? 0 : before + 1, whole)
    found.push(own, urlSafe(own))
  }
  return found
}

function urlSafe(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** Converts only ASCII letters, so that no text changes its length. */
function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
