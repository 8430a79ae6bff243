/** Makes text fit to leave the process: in a log, an error, a page, a stored attempt. */
export type Scrub = (text: string) => string

/** Longer texts are cut: an error's message can hold a whole answer. What is looked at is bounded too. */
const LONGEST = 500
const LOOKED_AT = 2_000

/** Takes out the given secrets, and of every URL the query (signed links), the user info and the fragment. */
export function createScrub(secrets: readonly string[]): Scrub {
  const known = secrets.filter((secret) => secret.length >= 8)
  return (text) => {
    let clean = text
    for (const secret of known) clean = clean.replaceAll(secret, '[secret]')
    clean = clean
      .slice(0, LOOKED_AT)
      .replace(/whsec_[A-Za-z0-9+/=]+/g, '[secret]')
      .replace(/\b([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/?#@"'<>]*@/gi, '$1')
      .replace(/\b([a-z][a-z0-9+.-]{0,30}:\/\/[^\s?#"'<>]*)[?#][^\s"'<>]*/gi, '$1')
    return clean.length > LONGEST ? `${clean.slice(0, LONGEST)}…` : clean
  }
}
