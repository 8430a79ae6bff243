import { html as tag } from 'hono/html'

/**
 * HTML from templates, escaped: the one door to the library that does it. Only a template makes `Html`, and nothing else is
 * written as it is.
 */
export type Html = { readonly isEscaped: true; toString(): string }

/** What may stand in a template. Parsed JSON is none of it: it has to be made a string first. */
export type Value = string | number | null | undefined | false | Html | readonly Value[]

/** Attributes must be quoted; `false`, `null` and `undefined` write nothing. */
export const html = tag as unknown as (strings: TemplateStringsArray, ...values: Value[]) => Html

/** Controls, bidirectional marks and what else has no shape, but for the line break and the tab. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu

/**
 * Text of others, as it may be shown: what would not be seen, or would turn the text around, is shown by its number, as
 * `⟨U+202E⟩`. Line breaks and tabs stay.
 */
export function visible(text: string): string {
  return text.replaceAll(INVISIBLE, (character) => {
    if (character === '\n' || character === '\t') return character
    const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')
    return `⟨U+${code}⟩`
  })
}

/** The longest text of others that one place of a page shows, characters. */
const MAX_SHOWN = 500

/** Text of others, visible, and cut where it is long. */
export function shown(text: string, longest = MAX_SHOWN): string {
  const cut = text.length > longest ? `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}…` : text
  return visible(cut)
}
