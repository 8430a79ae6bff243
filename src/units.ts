/** Durations and sizes as people write them in settings: `500ms 60s 15m 12h 100d`, `512 64kb 256mb 10gb`. */

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 }

/** Ten years: longer times would exceed the numbers that a database keeps exactly. */
const MAX_DURATION_MS = 3650 * 86_400_000

/** `15m` → 900000. Throws an Error that says what is accepted. */
export function parseDuration(text: string): number {
  const ms = parse(text, MS, null, 'a duration such as 500ms, 60s, 15m, 12h or 100d')
  if (ms > MAX_DURATION_MS) throw new Error('must be at most 3650d')
  return ms
}

/** `256mb` → 268435456; a plain number is bytes. Throws an Error that says what is accepted. */
export function parseBytes(text: string): number {
  return parse(text, BYTES, 'b', 'a size such as 512, 64kb, 256mb or 10gb')
}

/** 1536 → `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

function parse(
  text: string,
  units: Readonly<Record<string, number>>,
  implied: string | null,
  expected: string,
): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text)
  const unit = match?.[2] ? match[2].toLowerCase() : implied
  const factor = unit === null ? undefined : units[unit]
  if (!match || factor === undefined) throw new Error(`must be ${expected}`)
  return Math.round(Number(match[1]) * factor)
}
