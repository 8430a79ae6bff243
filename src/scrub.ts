declare const clean: unique symbol

/** Text without secrets and signed links. Only a `Scrub` makes it, so that storing text that was not scrubbed does not compile. */
export type CleanText = string & { readonly [clean]: true }

/** Makes text fit to leave the process: in a log, an error, a page, a stored attempt. */
export type Scrub = (text: string, longest?: number) => CleanText

/** Longer texts are cut: an error's message can hold a whole answer. What is looked at is bounded too. */
const LONGEST = 500
const LOOKED_AT = 4_000

/** Takes out the given secrets, and of every URL the query (signed links), the user info and the fragment. */
export function createScrub(secrets: readonly string[]): Scrub {
  // A signing secret also without its prefix.
  const known = secrets
    .flatMap((secret) => [secret, secret.replace(/^whsec_/, '')])
    .filter((secret) => secret.length >= 8)
  return (text, longest = LONGEST) => {
    let clean = text
    for (const secret of known) clean = clean.replaceAll(secret, '[secret]')
    clean = clean
      .slice(0, LOOKED_AT)
      .replace(/whsec_[A-Za-z0-9+/=]+/g, '[secret]')
      // User info runs to the last @ of a word, whatever is in it.
      .replace(/\b([a-z][a-z0-9+.-]{0,30}:\\?\/\\?\/)[^\s"'<>]*@/gi, '$1')
      .replace(/\b([a-z][a-z0-9+.-]{0,30}:\\?\/\\?\/[^\s?#"'<>]*)[?#][^\s"'<>]*/gi, '$1')
      // Also where a URL is told in parts, or encoded: HTTPSConnectionPool(…): /key?X-Amz-Signature=…
      .replace(/(?:[?&;]|%3F|%26)[\w.-]{1,64}(?:=|%3D)[^\s"'<>&;)]*/gi, '')
    return (clean.length > longest ? `${clean.slice(0, longest)}…` : clean) as CleanText
  }
}
