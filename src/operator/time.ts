import { type Html, html } from './html.ts'

/** A time zone by its name, `UTC` when nobody has chosen another. */
export type Zone = string

const UTC: Zone = 'UTC'

/** Formats of a zone are made once: a page has a hundred times. So many zones are kept. */
const MAX_ZONES = 16
const formats = new Map<Zone, Intl.DateTimeFormat>()

function formatOf(zone: Zone): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  })
  if (formats.size >= MAX_ZONES) formats.clear()
  formats.set(zone, made)
  return made
}

/** The zone with this name; UTC for anything that is none. */
export function zoneOf(name: string | undefined): Zone {
  if (name === undefined || !/^[A-Za-z0-9_+/-]{1,64}$/.test(name)) return UTC
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: name })
    return name
  } catch {
    return UTC
  }
}

type Clock = { readonly now: number; readonly zone: Zone }

/** `02:06:38` today, `24 Nov 23:43` before, with the year in another one. */
export function clockText(at: number, { now, zone }: Clock): string {
  const [then, today] = [partsOf(at, zone), partsOf(now, zone)]
  const time = `${then.hour}:${then.minute}`
  if (then.day === today.day && then.month === today.month && then.year === today.year) return `${time}:${then.second}`
  return `${then.day} ${then.month}${then.year === today.year ? '' : ` ${then.year}`} ${time}`
}

function partsOf(at: number, zone: Zone): Readonly<Record<string, string>> {
  const parts = formatOf(zone).formatToParts(at)
  return Object.fromEntries(parts.map(({ type, value }) => [type, value]))
}

/** A time of day, with the whole of it in UTC for the mouse and for programs. */
export function clockTime(at: number, clock: Clock): Html {
  return element(at, clockText(at, clock))
}

/** How long ago it was: `36 min`. */
export function agoTime(at: number, { now }: Pick<Clock, 'now'>): Html {
  return element(at, lastedText(Math.max(now - at, 0)))
}

function element(at: number, text: string): Html {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}" title="${iso.replace('T', ' ').replace('Z', ' UTC')}">${text}</time>`
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** One unit, for lists: `8 s`, `36 min`, `3 h`, `4 d`. */
export function lastedText(ms: number): string {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  return ms < 2 * DAY ? `${Math.floor(ms / HOUR)} h` : `${Math.floor(ms / DAY)} d`
}

/** Two units, for what is still to come: `2 h 50 min`, `6 d 4 h`. */
export function spanText(ms: number): string {
  const rest = (all: number, unit: number, name: string) => (all >= unit ? ` ${Math.floor(all / unit)} ${name}` : '')
  if (ms >= DAY) return `${Math.floor(ms / DAY)} d${rest(ms % DAY, HOUR, 'h')}`
  if (ms >= HOUR) return `${Math.floor(ms / HOUR)} h${rest(ms % HOUR, MINUTE, 'min')}`
  if (ms >= MINUTE) return `${Math.floor(ms / MINUTE)} min`
  return tookText(ms)
}

/** What something took: `43 ms`, `1.3 s`, `2 min`. */
export function tookText(ms: number): string {
  const whole = Math.max(Math.round(ms), 0)
  if (whole < SECOND) return `${whole} ms`
  if (whole < 10 * SECOND) return `${(whole / SECOND).toFixed(1)} s`
  return lastedText(whole)
}
