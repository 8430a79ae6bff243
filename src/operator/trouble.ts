import { type Html, html, shown } from './html.ts'
import { icon } from './icons.ts'
import { frame } from './layout.ts'
import type { Page } from './page.ts'

/** Why a page cannot be shown. */
export type TroubleModel = { readonly title: string; readonly text: string; readonly detail: string | null }

type TroubleFrame = Pick<Page, 'root' | 'assets' | 'theme' | 'zone' | 'label'>

/** What a person sees in place of a page that needs the inbox, or the results, while these do not answer. */
export function troublePage(page: TroubleFrame, { title, text, detail }: TroubleModel): Html {
  return frame(
    page,
    title,
    html`<main id="main"><section class="card narrow verdict is-bad" role="alert">${icon('dead', 'bad', 18)}<div><h1>${title}</h1><p>${text}</p>${detail !== null && html`<pre class="said-error">${shown(detail)}</pre>`}<p><a href="">Try again</a></p></div></section></main>`,
  )
}
