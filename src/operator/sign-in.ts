import { type Html, html } from './html.ts'
import { icon } from './icons.ts'
import { frame } from './layout.ts'
import type { Page } from './page.ts'

/** `next`: the page to go to, a relative path of ours. `isWrong`: the last token was none. */
export type SignInModel = { readonly next: string; readonly isWrong: boolean }

type SignInFrame = Pick<Page, 'root' | 'assets' | 'theme' | 'zone' | 'label'>

export function signInPage(page: SignInFrame, { next, isWrong }: SignInModel): Html {
  return frame(
    page,
    'Sign in',
    html`<main id="main"><div class="card narrow"><div class="head"><h1 class="state">${icon('mark', 'accent', 20)}<span>Sign in to receiver</span></h1>${page.label !== null && html`<span class="beside">${page.label}</span>`}</div><form method="post" action="./sign-in">${isWrong && html`<p class="notice refused" role="alert">This token is not valid here.</p>`}<label>Token<input type="password" name="token" required autofocus autocomplete="current-password"></label><label>Your name, for the log of actions (optional)<input type="text" name="name" maxlength="64" autocomplete="username"></label><input type="hidden" name="next" value="${next}"><button class="main">Sign in</button></form></div></main>`,
  )
}
