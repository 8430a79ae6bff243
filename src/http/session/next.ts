/** Where the browser goes after the sign-in. Everything is relative, so that it is right below any prefix. */

/** Stands for the prefix that is not known here. */
const BASE = 'http://receiver.invalid/prefix/'
/** Longer than any page of ours with all its filters. Characters. */
const MAX_NEXT_CHARS = 2_000

/**
 * The page of ours that `text` leads to from the sign-in, as a relative path; the first page for anything that leads elsewhere.
 * Written anew from what a browser would make of it, so that both read the same.
 */
export function safeNext(text: string): string {
  if (text.length > MAX_NEXT_CHARS) return './'
  const url = URL.parse(text, BASE)
  if (url === null || !url.href.startsWith(BASE) || url.username !== '' || url.password !== '') return './'
  return `./${url.pathname.slice(new URL(BASE).pathname.length)}${url.search}`
}

/** The way from a page at `path` (below the prefix) to the first page: `./`, `../` and so on. */
export function rootFrom(path: string): string {
  const depth = path.split('/').length - 2
  return depth <= 0 ? './' : '../'.repeat(depth)
}
