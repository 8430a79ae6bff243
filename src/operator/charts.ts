import type { ChartModel, Column, Series } from './chart.ts'
import { clockText, type Zone } from './time.ts'

/** Counts of a minute, or of an hour, by name. `ms`: how long the span is. */
type Counted = { readonly at: number; readonly ms: number; readonly counts: Readonly<Record<string, number>> }

export type ChartsModel = {
  readonly minutes: readonly Counted[]
  readonly from: number
  readonly to: number
  readonly zone: Zone
}

/** Columns of a chart: one a minute for an hour. */
const COLUMNS = 60

const ARRIVED: readonly (Series & { readonly of: (name: string) => boolean })[] = [
  { name: 'new', tone: 'bar', of: (name) => name === 'accepted' || name === 'ignored' },
  { name: 'again', tone: 'bar-2', of: (name) => name === 'duplicate' },
  { name: 'refused', tone: 'bad', of: (name) => name.startsWith('refused:') },
]
const SETTLED: typeof ARRIVED = [
  { name: 'done', tone: 'bar', of: (name) => name === 'done' },
  { name: 'failed at Reducto', tone: 'warn', of: (name) => name === 'failed' },
  { name: 'dead', tone: 'bad', of: (name) => name === 'dead' },
]

/** What arrived, and what became of jobs, over a span of time. */
export function chartsOf(model: ChartsModel): readonly ChartModel[] {
  const { from, to, zone } = model
  const span = to - from
  const ends = { from: startText(span), to: 'now' }
  const step = span / COLUMNS
  const unit = step <= 60_000 ? 'a minute' : step <= 1_500_000 ? 'in 24 minutes' : 'in 3.2 hours'
  const columnsOf = (series: typeof ARRIVED): readonly Column[] =>
    Array.from({ length: COLUMNS }, (_, index) => {
      const [begin, end] = [from + index * step, from + (index + 1) * step]
      const inside = model.minutes.filter(({ at, ms }) => at + ms / 2 >= begin && at + ms / 2 < end)
      const counts = series.map(({ of }) =>
        inside.reduce(
          (all, one) =>
            all + Object.entries(one.counts).reduce((sum, [name, count]) => sum + (of(name) ? count : 0), 0),
          0,
        ),
      )
      return { label: clockText(begin, { now: to, zone }), counts }
    })
  return [
    { title: `Deliveries ${unit}`, series: ARRIVED, columns: columnsOf(ARRIVED), ...ends },
    { title: `Settled ${unit}`, series: SETTLED, columns: columnsOf(SETTLED), ...ends },
  ]
}

function startText(span: number): string {
  const hours = Math.round(span / 3_600_000)
  if (hours <= 1) return '60 min ago'
  return hours <= 48 ? `${hours} h ago` : `${Math.round(hours / 24)} days ago`
}
