import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { FAMILIES, type Family, type FamilyName, type LabelsOf, PREFIX } from './families.ts'

type NamesOf<K extends Family['kind']> = {
  [N in FamilyName]: (typeof FAMILIES)[N]['kind'] extends K ? N : never
}[FamilyName]

export type Labels<N extends FamilyName> = Readonly<Record<LabelsOf<N>, string>>

/** The families of one receiver, in a registry of its own: two in one process share nothing. */
export type Families = {
  readonly registry: Registry
  add<N extends NamesOf<'counter'>>(name: N, labels: Labels<N>, by?: number): void
  observe<N extends NamesOf<'histogram'>>(name: N, labels: Labels<N>, value: number): void
  set<N extends NamesOf<'gauge'>>(name: N, labels: Labels<N>, value: number): void
  /** One series, for what is counted often: finding it costs more than counting. */
  bind<N extends FamilyName>(name: N, labels: Labels<N>): (value: number) => void
  /** Shows no value of this gauge until one is set again. */
  clear(name: NamesOf<'gauge'>): void
}

type Child = { inc?(by: number): void; observe?(value: number): void; set?(value: number): void }

export function createFamilies(): Families {
  const registry = new Registry()
  const made = new Map(Object.entries(FAMILIES).map(([name, family]) => [name, create(name, family, registry)]))
  /** A child is bound once for each set of labels: labels come from settings and code, so these are few. */
  const children = new Map<string, Child>()

  function childOf(name: FamilyName, labels: Readonly<Record<string, string>>): Child {
    const values = FAMILIES[name].labels.map((label) => labels[label] ?? '')
    const key = `${name}\n${values.join('\n')}`
    const child = children.get(key) ?? made.get(name)!.labels(...values)
    children.set(key, child)
    return child
  }

  return {
    registry,
    add: (name, labels, by = 1) => childOf(name, labels).inc!(by),
    observe: (name, labels, value) => childOf(name, labels).observe!(value),
    set: (name, labels, value) => childOf(name, labels).set!(value),
    bind(name, labels) {
      const { inc, observe, set } = childOf(name, labels)
      return (inc ?? observe ?? set)!
    },
    clear(name) {
      const gauge = made.get(name) as Gauge
      gauge.reset()
      // Of a gauge without labels a reset makes 0, which is a value.
      if (FAMILIES[name].labels.length === 0) gauge.remove()
    },
  }
}

function create(name: string, { kind, help, labels, buckets }: Family, registry: Registry) {
  const common = { name: PREFIX + name, help, labelNames: [...labels], registers: [registry] }
  if (kind === 'counter') return new Counter(common)
  if (kind === 'gauge') return new Gauge(common)
  return new Histogram({ ...common, ...(buckets ? { buckets: [...buckets] } : {}) })
}
