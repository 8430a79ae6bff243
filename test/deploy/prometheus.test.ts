import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { createEvents } from '../../src/telemetry/events.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { parsePrometheus } from '../support/prometheus.ts'
import { tempFolder } from '../support/temp.ts'
import { fileText, ROOT } from './support.ts'

/** Debian's package `prometheus` has it; `PROMTOOL` names it where it is not on the PATH. */
const promtool = process.env.PROMTOOL ?? 'promtool'
const hasPromtool = spawnSync(promtool, ['--version']).status === 0

type Rule = {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly do: string }
}

const rules: readonly Rule[] = parse(fileText('deploy/prometheus/alerts.yaml')).groups[0].rules

type Panel = {
  readonly id: number
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string }[]
}

const dashboard: {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly query: unknown }[] }
} = JSON.parse(fileText('deploy/grafana/dashboard.json'))
const queries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const))

/** Every series that `/metrics` of a service can have, by name. */
async function seriesNames(): Promise<ReadonlySet<string>> {
  const metrics = createMetrics({
    events: createEvents(),
    clock: createManualClock(),
    signingSecrets: new Map([['default', 1]]),
    hasDirect: false,
    types: [],
    build: { version: '', node: '', inbox: '', results: '', handler: '' },
    places: { fetch: 1, hand_over: 1 },
    minFree: 0,
    live: () => ({ isReady: true, degraded: [], bodiesInFlight: 0, waitingRows: 0, busy: { fetch: 0, hand_over: 0 } }),
    stats: () => Promise.reject(new Error('nobody asks')),
    atRisk: async () => ({ jobs: 1, soonest: [{ receivedAt: 0 }] }),
    searchLag: async () => 3,
    disks: () => Promise.reject(new Error('nobody asks')),
  })
  const families = [...parsePrometheus(await metrics.text())]
  return new Set(
    families.flatMap(([name, { type }]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  )
}

function namesIn(text: string): string[] {
  return text.match(/\b(?:reducto_receiver|process|nodejs)_[a-z0-9_]+/g) ?? []
}

describe('deploy/prometheus/alerts.yaml', () => {
  it('has rules that each name a severity, what is wrong and what to do', () => {
    expect(rules).toHaveLength(14)
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(14)
    for (const { alert, labels, annotations } of rules) {
      expect(['critical', 'warning'], alert).toContain(labels.severity)
      expect(annotations, alert).toEqual({ summary: expect.stringMatching(/\S/), do: expect.stringMatching(/\S/) })
    }
  })

  it('asks only for what there is', async () => {
    const series = await seriesNames()
    for (const { alert, expr, annotations } of rules) {
      const names = namesIn(expr)
      expect(names.length, alert).toBeGreaterThan(0)
      for (const name of names) expect([...series], alert).toContain(name)
      for (const name of namesIn(annotations.do))
        expect([...series, `${name}_bucket`], alert).toContain(`${name}_bucket`)
    }
  })

  it('leaves to the service what is a silence: a night and a weekend are none', () => {
    expect(rules.find(({ alert }) => alert === 'ReceiverSilence')?.expr).toBe('max(reducto_receiver_silence) == 1')
  })

  it('has a test for each rule', () => {
    const tested = parse(fileText('deploy/prometheus/alerts.test.yaml')).tests.flatMap(
      ({ alert_rule_test }: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }) =>
        alert_rule_test.filter(({ exp_alerts }) => exp_alerts.length > 0).map(({ alertname }) => alertname),
    )
    expect([...new Set(tested)].toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted())
  })

  it.skipIf(!hasPromtool)('passes promtool’s checks and its own tests', () => {
    const cwd = join(ROOT, 'deploy/prometheus')
    const run = (...args: string[]) => execFileSync(promtool, args, { cwd, encoding: 'utf8', stdio: 'pipe' })
    expect(run('check', 'rules', 'alerts.yaml')).toMatch('14 rules found')
    expect(run('test', 'rules', 'alerts.test.yaml')).toMatch('SUCCESS')
  })
})

describe('deploy/grafana/dashboard.json', () => {
  it('asks only for what there is', async () => {
    const series = await seriesNames()
    expect(queries.length).toBeGreaterThan(20)
    for (const [title, expr] of queries) {
      const names = namesIn(expr)
      expect(names.length, title).toBeGreaterThan(0)
      for (const name of names) expect([...series], title).toContain(name)
    }
    for (const name of namesIn(JSON.stringify(dashboard.templating))) expect([...series]).toContain(name)
  })

  it('has panels with ids of their own that do not lie upon each other', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    const taken = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    )
    expect(new Set(taken).size).toBe(taken.length)
    for (const { gridPos } of dashboard.panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
  })

  it.skipIf(!hasPromtool)('asks in PromQL', () => {
    const file = join(tempFolder(), 'queries.yaml')
    const filled = queries.map(([, expr], index) => ({
      record: `query_${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(?:job|instance)/g, '.+'),
    }))
    writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules: filled }] }))
    const checked = execFileSync(promtool, ['check', 'rules', file], { encoding: 'utf8', stdio: 'pipe' })
    expect(checked).toMatch(`${queries.length} rules found`)
  })
})
