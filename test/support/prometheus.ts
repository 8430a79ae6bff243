import { expect } from 'vitest'

type Sample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

type ParsedFamily = { readonly type: string; readonly help: string; readonly samples: readonly Sample[] }

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|-?[\d.]+(?:e[+-]?\d+)?)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y

/** Parses Prometheus's text format as strictly as Prometheus does, and checks what must hold within each family. */
export function parsePrometheus(text: string): ReadonlyMap<string, ParsedFamily> {
  expect(text.endsWith('\n')).toBe(true)
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>()
  let current = ''
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, kind, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (kind === 'HELP') {
      expect(families.has(name!), `${name} stands in one place`).toBe(false)
      families.set(name!, { type: '', help: rest!, samples: [] })
      current = name!
    } else if (kind === 'TYPE') {
      expect(name).toBe(current)
      families.get(current)!.type = rest!
    } else {
      const sample = parseSample(line)
      expect(sample.name.replace(/_(?:bucket|sum|count)$/, '') === current || sample.name === current, line).toBe(true)
      families.get(current)!.samples.push(sample)
    }
  }
  for (const family of families.values()) checkFamily(family)
  return families
}

function parseSample(line: string): Sample {
  const [, name, labels = '', value] = SAMPLE.exec(line) ?? []
  expect(name, `no sample: ${line}`).toBeDefined()
  const found: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < labels.length) {
    const [, label, text] = LABEL.exec(labels) ?? []
    expect(label, `no labels: ${line}`).toBeDefined()
    expect(found[label!], `${label} twice: ${line}`).toBeUndefined()
    found[label!] = text!
  }
  return { name: name!, labels: found, value: Number(value!.replace('Inf', 'Infinity')) }
}

function checkFamily({ type, samples }: ParsedFamily): void {
  const keys = samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).toSorted()]))
  expect(new Set(keys).size).toBe(keys.length)
  if (type === 'counter') for (const { value } of samples) expect(value).toBeGreaterThanOrEqual(0)
  if (type !== 'histogram') return
  for (const { name, labels, value } of samples.filter((sample) => sample.name.endsWith('_count'))) {
    const bucket = name.replace(/_count$/, '_bucket')
    const own = samples.filter((sample) => sample.name === bucket && has(sample.labels, labels))
    const values = own.map((sample) => sample.value)
    expect(values).toEqual(values.toSorted((a, b) => a - b))
    expect(own.at(-1)).toMatchObject({ labels: { le: '+Inf' }, value })
  }
}

function has(labels: Sample['labels'], some: Sample['labels']): boolean {
  return Object.entries(some).every(([name, value]) => labels[name] === value)
}

/** The value of one series; undefined when it is not there. `name`: without the prefix of this service's. */
export function sampleValue(text: string, name: string, labels: Sample['labels'] = {}): number | undefined {
  const full = `reducto_receiver_${name}`
  const samples = [...parsePrometheus(text).values()].flatMap((family) => family.samples)
  return samples.find(
    (sample) =>
      sample.name === full &&
      has(sample.labels, labels) &&
      (Object.keys(labels).length > 0 || Object.keys(sample.labels).length === 0),
  )?.value
}
