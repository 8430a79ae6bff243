import { squeeze } from './decoded-text.ts'

/** Shorter ones are found in innocent text, and are no secrets. */
const MIN_SECRET = 8
/** Without its white space a secret may be this much shorter. */
const MIN_FORM = 6
/** A part of a secret at the very end of a text that was cut: this much of it is taken out too. */
const MIN_PART = 8

/** Of a longer secret this much is enough to be taken out anywhere: what prints it may shorten it. */
const MIN_BEGINNING = 16

/** Where secrets stand in a text: [start, end). */
export type Found = readonly [start: number, end: number]

/** Finds secrets whatever form they were written in. Case does not count: hex and percent escapes have none. */
export type FindSecrets = (text: string) => Found[]

/**
 * Searches for secrets as they are, and in base64, base64url and hex: alone, within a longer text that was encoded, or
 * squeezed.
 * `longest`: characters of the longest form.
 */
export function createFindSecrets(secrets: readonly string[]): {
  readonly find: FindSecrets
  /** A secret that the end of the text cuts off. */
  readonly findCutOff: FindSecrets
  readonly longest: number
} {
  const written = secrets.flatMap(formsOf)
  const forms = [...new Set([...written, ...written.flatMap(squeeze)].map(lower))].filter(
    (form) => form.length >= MIN_FORM,
  )

  function find(text: string): Found[] {
    const searched = lower(text)
    const found: Found[] = []
    for (const form of forms) {
      const beginning = form.slice(0, MIN_BEGINNING)
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
      for (let length = Math.min(form.length - 1, end.length); length >= Math.max(MIN_PART, part + 1); length--)
        if (form[length - 1] === end.at(-1) && end.endsWith(form.slice(0, length))) part = length
    return part === 0 ? [] : [[text.length - part, text.length]]
  }

  const longest = Math.max(0, ...forms.map((form) => form.length))
  return { find, findCutOff, longest }
}

/** How much of `form` stands in `text` at `at`. */
function commonLength(form: string, text: string, at: number): number {
  let length = 0
  while (length < form.length && text[at + length] === form[length]) length++
  return length
}

function formsOf(secret: string): string[] {
  if (secret.length < MIN_SECRET) return []
  const bare = secret.replace(/^whsec_/, '')
  const texts = bare.length < MIN_SECRET ? [secret] : [...new Set([secret, bare])]
  const key = bare === secret ? [] : [Buffer.from(bare, 'base64')]
  return [
    ...texts.flatMap((text) => [text, text.replaceAll(' ', '+'), urlSafe(text)]),
    ...texts.flatMap((text) => [...encodings(Buffer.from(text)), ...encodings(Buffer.from(lower(text)))]),
    ...key.map((bytes) => bytes.toString('hex')),
  ]
}

/** Hex, decimals, and base64 wherever the bytes begin within the text that was encoded: only characters that they alone decide. */
function encodings(bytes: Buffer): string[] {
  // The last is what JSON makes of a Buffer.
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

/** Of ASCII letters alone, so that no text gets longer or shorter by it. */
function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
