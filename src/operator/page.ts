import type { Zone } from './time.ts'

/** What a page knows of its request. */
export type Page = {
  /** The way from the page's address to the root of the surface: `./`, `../`, … Every link begins with it. */
  readonly root: string
  /** Where the style, the script and the font are, from the root. */
  readonly assets: string
  readonly now: number
  readonly zone: Zone
  readonly theme: 'light' | 'dark' | null
  readonly role: 'read' | 'write'
  /** Where the service is, to tell one from another; null when PUBLIC_URL is not set. */
  readonly label: string | null
  /** Jobs that are dead, for the navigation. */
  readonly dead: number
  /** What the last action did. */
  readonly notice: Notice | null
  /** Metadata, bodies and results are not shown: ADMIN_HIDE_CONTENT. */
  readonly hidesContent: boolean
}

export type Notice = { readonly is: 'done' | 'refused'; readonly text: string }

export type Query = Readonly<Record<string, string | number | readonly string[] | null | undefined>>

/** A link within the surface: the path's segments, and what follows the question mark. The only maker of `href`. */
export function to(page: Pick<Page, 'root'>, path: readonly string[] = [], query: Query = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().flatMap((one) => (one === null || one === undefined || one === '' ? [] : [[name, String(one)]])),
  )
  const text = new URLSearchParams(given as [string, string][]).toString()
  return `${page.root}${path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`
}
