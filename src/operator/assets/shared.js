/** What the modules of the pages share. Nothing is made into HTML here but what this service has sent. */

export const page = document.documentElement
export const root = new URL(page.dataset.root ?? './', location.href)
const policy =
  'trustedTypes' in window
    ? /** @type {any} */ (window).trustedTypes.createPolicy('operator', {
        createHTML: (/** @type {string} */ text) => text,
      })
    : { createHTML: (/** @type {string} */ text) => text }

/** @param {string} selector @param {ParentNode} [within] */
export const all = (selector, within = document) =>
  /** @type {HTMLElement[]} */ ([...within.querySelectorAll(selector)])

/** @param {string} text */
function say(text) {
  const place = document.getElementById('said')
  if (!place) return
  place.textContent = text
  setTimeout(() => {
    if (place.textContent === text) place.textContent = ''
  }, 2_500)
}

/** @param {string} name @param {string} value */
export function remember(name, value) {
  const secure = location.protocol === 'https:' ? '; secure' : ''
  document.cookie = `${name}=${encodeURIComponent(value)}; path=${root.pathname}; max-age=31536000; samesite=strict${secure}`
}

/** Over plain HTTP there is no clipboard. @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const field = document.createElement('textarea')
    field.value = text
    document.body.append(field)
    field.select()
    document.execCommand('copy')
    field.remove()
  }
  say('Copied')
}

/** @param {string} text */
export function parse(text) {
  return new DOMParser().parseFromString(policy.createHTML(text), 'text/html')
}

export function selected() {
  return /** @type {HTMLInputElement[]} */ (all('#rows input[name=id]:checked'))
}
