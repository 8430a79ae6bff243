import { type Html, html, visible } from './html.ts'
import { icon } from './icons.ts'
import { type Page, to } from './page.ts'

type Place = 'overview' | 'jobs' | 'dead' | 'deliveries' | 'actions' | 'none'

export type Layout = {
  readonly title: string
  readonly place: Place
  /** The page asks for itself again after so many seconds; null: it stays as it is. */
  readonly live: number | null
  readonly body: Html
}

const PLACES: readonly (readonly [place: Place, path: readonly string[], name: string])[] = [
  ['overview', [], 'Overview'],
  ['jobs', ['jobs'], 'Jobs'],
  ['dead', ['dead'], 'Dead'],
  ['deliveries', ['deliveries'], 'Deliveries'],
  ['actions', ['actions'], 'Actions'],
]

/** A whole page for somebody who has signed in. */
export function layout(page: Page, { title, place, live, body }: Layout): Html {
  const link = ([name, path, text]: (typeof PLACES)[number]) =>
    html`<a href="${to(page, path)}"${name === place && html` aria-current="page"`}>${text}${name === 'dead' && page.dead > 0 && html` <span class="badge bad">${page.dead}</span>`}</a>`
  const top = html`<header class="top"><a class="skip" href="#main">To the content</a><a class="brand" href="${to(page)}">${icon('mark', 'accent', 18)}<b>receiver</b></a>${page.label !== null && html`<span class="label" title="PUBLIC_URL">${visible(page.label)}</span>`}<nav aria-label="Pages">${PLACES.map(link)}</nav>
<div class="tools">${live !== null && html`<button type="button" class="quiet" data-do="live" aria-pressed="true" hidden><span class="dot"></span>Live</button>`}<button type="button" class="quiet" data-do="zone" title="Time zone" hidden>${page.zone === 'UTC' ? 'UTC' : page.zone.split('/').at(-1)!.replaceAll('_', ' ')}</button><button type="button" class="quiet" data-do="theme" aria-label="Light or dark" title="Light or dark" hidden>${icon('theme')}</button><form method="post" action="${to(page, ['sign-out'])}"><button class="quiet" aria-label="Sign out" title="Sign out">${icon('leave')}</button></form></div></header>`
  return frame(
    page,
    title,
    html`${top}
<main id="main" tabindex="-1"${live !== null && html` data-live="${live}"`}><h1 class="sr">${visible(title)}</h1>${page.notice && notice(page.notice)}${body}</main>
${KEYS}<p id="said" role="status" class="said"></p>`,
  )
}

function notice({ is, text }: NonNullable<Page['notice']>): Html {
  return html`<p class="notice ${is}" role="status">${visible(text)}</p>`
}

/** The frame of every page. Everything that it loads is its own, by a relative address. */
export function frame(page: Pick<Page, 'root' | 'assets' | 'theme' | 'zone'>, title: string, body: Html): Html {
  const asset = (name: string) => `${page.root}${page.assets}/${name}`
  return html`<!doctype html>
<html lang="en" data-root="${page.root}" data-zone="${page.zone}"${page.theme !== null && html` data-theme="${page.theme}"`}><head><meta charset="utf-8"><title>${visible(title)} · receiver</title><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex"><meta name="color-scheme" content="light dark"><link rel="icon" href="${asset('icon.svg')}"><link rel="preload" href="${asset('inter.woff2')}" as="font" type="font/woff2" crossorigin><link rel="stylesheet" href="${asset('style.css')}"><script type="module" src="${asset('page.js')}"></script></head>
<body>${body}</body></html>
`
}

const KEY_LIST: readonly (readonly [key: string, does: string])[] = [
  ['/', 'search'],
  ['j  k', 'next, previous row'],
  ['x', 'select the row'],
  ['Enter', 'open the row'],
  ['r', 'retry'],
  ['c', 'copy the id'],
  ['l', 'live on or off'],
  ['u', 'UTC or your time'],
  ['g o', 'go to the overview; g j jobs, g d dead'],
  ['?', 'this list'],
]

const KEYS = html`<dialog id="keys" aria-labelledby="keys-title"><div class="head"><h2 id="keys-title">Keys</h2><form method="dialog"><button class="quiet">Close</button></form></div><dl class="facts">${KEY_LIST.map(
  ([key, does]) => html`<dt><kbd>${key}</kbd></dt><dd>${does}</dd>`,
)}</dl><p class="foot"><label><input type="checkbox" data-do="keys" checked> Keys are on</label></p></dialog>`

/** A card with a heading. `beside`: what stands at the right of it. */
export function card(
  title: Html | string,
  body: Html,
  options: { readonly beside?: Html | string; readonly id?: string } = {},
): Html {
  const { beside, id } = options
  return html`<section class="card"${id !== undefined && html` id="${id}"`}><div class="head"><h2>${title}</h2>${beside !== undefined && html`<div class="beside">${beside}</div>`}</div>${body}</section>`
}
