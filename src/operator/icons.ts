import { type Html, html } from './html.ts'

/**
 * Icons as SVG in a box of 16. Each state has a shape of its own, so that nothing depends on colour; the word stands beside
 * it, so that none of them is read out.
 */
const SHAPES = {
  done: html`<circle cx="8" cy="8" r="7" fill="currentColor"/><path d="m4.8 8.2 2.2 2.2 4.2-4.6" fill="none" stroke="var(--surface)" stroke-width="1.8"/>`,
  failed: html`<path d="M8 .8 15.2 8 8 15.2.8 8z" fill="currentColor"/><path d="M8 4.6v4M8 10.3v1.4" fill="none" stroke="var(--surface)" stroke-width="1.8"/>`,
  waiting: html`<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.8"/>`,
  retrying: html`<path d="M8 1.8 14.8 14H1.2z" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linejoin="round"/><path d="M8 6.2v3.6M8 11.2v1.2" fill="none" stroke="currentColor" stroke-width="1.6"/>`,
  running: html`<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.8"/><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor"/>`,
  dead: html`<rect x="1.2" y="1.2" width="13.6" height="13.6" rx="2.6" fill="currentColor"/><path d="m5.2 5.2 5.6 5.6m0-5.6-5.6 5.6" fill="none" stroke="var(--surface)" stroke-width="1.8"/>`,
  expected: html`<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.8" stroke-dasharray="2.6 2.1"/>`,
  erased: html`<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="m3.8 12.2 8.4-8.4" fill="none" stroke="currentColor" stroke-width="1.6"/>`,
  delivery: html`<path d="M1.5 8h8.6M7 4.6 10.4 8 7 11.4M13.4 3v10" fill="none" stroke="currentColor" stroke-width="1.7"/>`,
  person: html`<circle cx="8" cy="5" r="3" fill="none" stroke="currentColor" stroke-width="1.6"/><path d="M2.4 14.4c.5-3.2 2.8-4.7 5.6-4.7s5.1 1.5 5.6 4.7" fill="none" stroke="currentColor" stroke-width="1.6"/>`,
  pause: html`<rect x="3" y="2.4" width="3.6" height="11.2" rx="1" fill="currentColor"/><rect x="9.4" y="2.4" width="3.6" height="11.2" rx="1" fill="currentColor"/>`,
  copy: html`<rect x="5" y="5" width="8.6" height="8.6" rx="1.6" fill="none" stroke="currentColor" stroke-width="1.4"/><path d="M10.6 2.4H4A1.6 1.6 0 0 0 2.4 4v6.6" fill="none" stroke="currentColor" stroke-width="1.4"/>`,
  search: html`<circle cx="7" cy="7" r="4.4" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="m10.4 10.4 3.4 3.4" stroke="currentColor" stroke-width="1.5"/>`,
  theme: html`<circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M8 2a6 6 0 0 1 0 12z" fill="currentColor"/>`,
  leave: html`<path d="M6.5 2.5H4A1.5 1.5 0 0 0 2.5 4v8A1.5 1.5 0 0 0 4 13.5h2.5M6.5 8h7M10.6 5l3 3-3 3" fill="none" stroke="currentColor" stroke-width="1.5"/>`,
  file: html`<path d="M4 1.8h5l3.2 3.2v9.2H4zM8.8 2v3.2H12" fill="none" stroke="currentColor" stroke-width="1.3"/>`,
  download: html`<path d="M8 2v8M4.8 7 8 10.2 11.2 7M2.5 13.5h11" fill="none" stroke="currentColor" stroke-width="1.5"/>`,
  mark: html`<path d="M3.6 1.5h6.2l3 3v10H3.6z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round"/><path d="M8.1 4.8v4.4M6.2 7.5l1.9 1.9L10 7.5M5.8 11.9h4.6" fill="none" stroke="currentColor" stroke-width="1.4"/>`,
} as const

export type Icon = keyof typeof SHAPES

/** Tones are the classes `tone-…` of the style sheet. */
export type Tone = 'ok' | 'warn' | 'bad' | 'wait' | 'accent' | 'plain'

export function icon(name: Icon, tone: Tone = 'plain', size = 14): Html {
  return html`<svg class="icon tone-${tone}${name === 'running' ? ' turns' : ''}" width="${size}" height="${size}" viewBox="0 0 16 16" aria-hidden="true" focusable="false">${SHAPES[name]}</svg>`
}
