/** What the sign-in shows. `next`: where it leads to, from `safeNext`. `isWrong`: the last token was none. */
export type SignInForm = { readonly next: string; readonly isWrong: boolean }

/** The page of the sign-in. It works without a script or a style sheet. */
export function signInPage({ next, isWrong }: SignInForm): string {
  const wrong = isWrong ? '<p role="alert">This token is not valid here.</p>\n' : ''
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title></head>
<body>
<main>
<h1>Sign in</h1>
${wrong}<form method="post" action="./sign-in">
<p><label>Token<br><input type="password" name="token" required autofocus autocomplete="current-password"></label></p>
<p><label>Your name, for the log of actions (optional)<br><input name="name" maxlength="64" autocomplete="username"></label></p>
<input type="hidden" name="next" value="${escaped(next)}">
<p><button>Sign in</button></p>
</form>
</main>
</body>
</html>
`
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)
}
