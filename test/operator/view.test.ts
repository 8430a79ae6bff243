import { describe, expect, it } from 'vitest'
import { rootFrom } from '../../src/http/session/next.ts'
import { chart } from '../../src/operator/chart.ts'
import { commandText, filterArgs } from '../../src/operator/command.ts'
import { to } from '../../src/operator/page.ts'
import { refusalMeaning } from '../../src/operator/refusals.ts'
import { clockText, lastedText, spanText, tookText, zoneOf } from '../../src/operator/time.ts'

describe('links', () => {
  it.each([
    ['/', './'],
    ['/jobs', './'],
    ['/jobs/', '../'],
    ['/jobs/abc', '../'],
    ['/jobs/abc/preview', '../../'],
  ])('from %s the root is %s', (path, root) => expect(rootFrom(path)).toBe(root))

  it('keep what is in them', () => {
    expect(to({ root: '../' }, ['jobs', 'a/../b'], { q: 'a&b=c', metadata: ['x=1', 'y=2'], none: null })).toBe(
      '../jobs/a%2F..%2Fb?q=a%26b%3Dc&metadata=x%3D1&metadata=y%3D2',
    )
    expect(to({ root: './' })).toBe('./')
  })
})

describe('the same as a command', () => {
  it('values of others are quoted', () => {
    expect(
      commandText('jobs list', filterArgs({ state: 'dead', q: "o'neil $(rm -rf /)", metadata: { a: 'b c' } })),
    ).toBe("npx reducto-webhook-receiver jobs list --state dead --q 'o'\\''neil $(rm -rf /)' --metadata 'a=b c'")
  })

  it('times are written out: 2h would be another time later', () => {
    expect(filterArgs({ since: Date.parse('2026-11-25T10:00:00Z') })).toEqual(['--since', '2026-11-25T10:00:00.000Z'])
  })
})

describe('times', () => {
  const now = Date.parse('2026-11-25T02:00:00Z')
  const [utc, berlin] = ['UTC', 'Europe/Berlin'].map((zone) => ({ now, zone }))

  it.each([
    ['2026-11-25T01:30:05Z', '01:30:05', '02:30:05'],
    ['2026-11-24T23:43:00Z', '24 Nov 23:43', '00:43:00'],
    ['2025-01-02T03:04:00Z', '2 Jan 2025 03:04', '2 Jan 2025 04:04'],
  ])('%s', (time, inUtc, inBerlin) => {
    expect(clockText(Date.parse(time), utc!)).toBe(inUtc)
    expect(clockText(Date.parse(time), berlin!)).toBe(inBerlin)
  })

  it.each(['', 'Nowhere/Land', '../../etc', '<b>', undefined])('%s is no zone: UTC', (name) => {
    expect(zoneOf(name)).toBe('UTC')
  })

  it('in words', () => {
    expect([999, 59_999, 3_599_999, 90_000_000, 200_000_000].map(lastedText)).toEqual([
      '0 s',
      '59 s',
      '59 min',
      '25 h',
      '2 d',
    ])
    expect([5_000, 65_000, 10_200_000, 540_000_000].map(spanText)).toEqual(['5.0 s', '1 min', '2 h 50 min', '6 d 6 h'])
    expect([-3, 43, 1_340, 61_000].map(tookText)).toEqual(['0 ms', '43 ms', '1.3 s', '1 min'])
  })
})

describe('a chart', () => {
  it('says in words what it shows, and a column says what it is', () => {
    const text = String(
      chart({
        title: 'Deliveries a minute',
        series: [
          { name: 'new', tone: 'bar' },
          { name: 'refused', tone: 'bad' },
        ],
        columns: [
          { label: '12:00', counts: [3, 0] },
          { label: '12:01', counts: [4, 2] },
        ],
        from: '60 min ago',
        to: 'now',
      }),
    )
    expect(text).toContain('aria-label="Deliveries a minute, 60 min ago to now: 7 new, 2 refused"')
    expect(text).toContain('<title>12:01: 4 new, 2 refused</title>')
    expect(text.match(/<rect class="fill-/g)).toHaveLength(3)
  })

  it('nothing at all is a chart too', () => {
    expect(String(chart({ title: 'x', series: [], columns: [], from: '', to: '' }))).not.toMatch(/NaN|Infinity/)
  })
})

it('a reason that nobody knows yet is shown as it is', () => {
  expect(refusalMeaning('no_match').status).toBe('401')
  expect(refusalMeaning('constructor')).toEqual({ status: '', text: '' })
})
