/**
 * The words of a text, as search compares them: runs of letters and digits, in small letters, without accents (`Müller` and
 * `muller` are the same word, as are `ß` and `ss`, and wide and narrow forms). Everything else separates words: `inv-2026_7`
 * is three. Scripts without spaces between words have one word for each such run.
 */
export function wordsOf(text: string): string[] {
  return folded(text).match(/[\p{L}\p{N}]+/gu) ?? []
}

function folded(text: string): string {
  // Most text is ASCII.
  if (/^[ -~]*$/.test(text)) return text.toLowerCase()
  return text.normalize('NFKD').replace(/\p{M}/gu, '').normalize('NFC').toLowerCase().replaceAll('ß', 'ss')
}

/** The first `count` characters, none of them cut in half. */
export function beginningOf(word: string, count: number): string {
  return word.length <= count ? word : [...word].slice(0, count).join('')
}

export function lengthOf(word: string): number {
  return [...word].length
}
