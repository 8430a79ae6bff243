import { keysAreOff, listenToKeys } from './keys.js'
import { isLiveNow, startLive, toggleLive } from './live.js'
import { all, copy, page, parse, remember, selected } from './shared.js'

/**
 * What the pages do beyond HTML: refresh, copy, keys, selection, time zone, light and dark. Every page works without it.
 */

function countSelected() {
  const [bar, number] = [document.querySelector('[data-bulk]'), selected().length]
  if (!(bar instanceof HTMLElement)) return
  bar.hidden = number === 0
  const count = bar.querySelector('[data-count]')
  if (count) count.textContent = `${number} selected`
}

/* Fragments: what a store takes its time for comes after the page. */

async function loadFragments() {
  for (const place of all('[data-fragment]')) {
    const from = place.dataset.fragment
    delete place.dataset.fragment
    try {
      const answer = await fetch(new URL(from ?? '', location.href))
      if (answer.ok) place.replaceWith(...parse(await answer.text()).body.childNodes)
    } catch {
      // The link that stands there does the same.
    }
  }
}

/* What is pressed and chosen */

/** @type {Record<string, (element: HTMLElement) => void>} */
const PRESSED = {
  live(button) {
    button.setAttribute('aria-pressed', String(toggleLive()))
  },
  zone() {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone
    remember('tz', page.dataset.zone === 'UTC' ? own : 'UTC')
    location.reload()
  },
  theme() {
    const isDark =
      getComputedStyle(page).colorScheme === 'dark' ||
      (!page.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches)
    page.dataset.theme = isDark ? 'light' : 'dark'
    remember('theme', page.dataset.theme)
  },
}

document.addEventListener('click', (event) => {
  const target = event.target instanceof Element ? event.target : null
  const copied = /** @type {HTMLElement | null} */ (target?.closest('[data-copy]') ?? null)
  if (copied) return void copy(copied.dataset.copy ?? '')
  const pressed = /** @type {HTMLElement | null} */ (target?.closest('button[data-do]') ?? null)
  if (pressed) return PRESSED[pressed.dataset.do ?? '']?.(pressed)
  for (const open of all('details.copies[open]')) if (!open.contains(target)) open.removeAttribute('open')
})

document.addEventListener('change', (event) => {
  const target = event.target
  if (target instanceof HTMLSelectElement && target.dataset.do === 'submit') return target.form?.requestSubmit()
  if (!(target instanceof HTMLInputElement)) return
  if (target.dataset.do === 'all')
    for (const box of all('#rows input[name=id]')) /** @type {HTMLInputElement} */ (box).checked = target.checked
  if (target.dataset.do === 'keys') localStorage.setItem('receiver-keys', target.checked ? 'on' : 'off')
  countSelected()
})

/** What only works with this module appears with it. */
function dress() {
  for (const one of all('[data-do][hidden], button[data-copy][hidden]')) one.hidden = false
  const live = document.querySelector('[data-do=live]')
  live?.setAttribute('aria-pressed', String(isLiveNow()))
  countSelected()
  void loadFragments()
}

/** @type {HTMLInputElement | null} */
const keysBox = document.querySelector('[data-do=keys]')
if (keysBox) keysBox.checked = !keysAreOff()
dress()
listenToKeys()
startLive(dress)
