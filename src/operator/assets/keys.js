import { all, copy, root, selected } from './shared.js'

/** Keys: listed in the dialog that `?` opens, where they can be switched off. */

let current = -1
let isAfterG = false

/** @param {number} step */
function move(step) {
  const rows = all('table.rows tbody tr')
  if (rows.length === 0) return
  rows[current]?.classList.remove('at')
  current = Math.min(Math.max(current + step, 0), rows.length - 1)
  rows[current]?.classList.add('at')
  rows[current]?.scrollIntoView({ block: 'nearest' })
}

const row = () => document.querySelector('table.rows tr.at')
/** @param {string} selector */
const press = (selector) => /** @type {HTMLElement | null} */ (document.querySelector(selector))?.click()

/** @type {Record<string, () => void>} */
const KEYS = {
  '/': () => /** @type {HTMLElement | null} */ (document.querySelector('input[type=search]'))?.focus(),
  j: () => move(1),
  k: () => move(-1),
  x: () => /** @type {HTMLElement | null} */ (row()?.querySelector('input[name=id]'))?.click(),
  Enter: () => /** @type {HTMLElement | null} */ (row()?.querySelector('a.id'))?.click(),
  r: () => press(selected().length > 0 ? '[data-bulk] [value=retry]' : '[data-key=r]'),
  c: () => {
    const id = row()?.querySelector('a.id')?.getAttribute('title')
    if (id) void copy(id)
    else press('.job-head .copy')
  },
  l: () => press('[data-do=live]'),
  u: () => press('[data-do=zone]'),
  '?': () => /** @type {HTMLDialogElement} */ (document.getElementById('keys')).showModal(),
}
/** @type {Record<string, string>} */
const PLACES = { o: './', j: 'jobs', d: 'dead' }
export const keysAreOff = () => localStorage.getItem('receiver-keys') === 'off'

export function listenToKeys() {
  document.addEventListener('keydown', pressed)
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const { key, target } = event
  const at = target instanceof HTMLElement ? target : null
  if (key === 'Escape' && at?.matches('input[type=search]')) return at.blur()
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    at?.closest('input:not([type=checkbox]), select, textarea, dialog[open]')
  )
    return
  if (keysAreOff() && key !== '?') return
  if (key === 'Enter' && at !== document.body && at?.id !== 'main') return
  if (isAfterG) {
    isAfterG = false
    const place = PLACES[key]
    if (place !== undefined) location.href = new URL(place, root).href
    return
  }
  if (key === 'g') {
    isAfterG = true
    return
  }
  if (!Object.hasOwn(KEYS, key)) return
  event.preventDefault()
  KEYS[key]?.()
}
