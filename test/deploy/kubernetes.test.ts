import { execFileSync } from 'node:child_process'
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Deployment } from 'kubernetes-models/apps/v1'
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { PersistentVolumeClaim, Secret, Service } from 'kubernetes-models/v1'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { loadConfig } from '../../src/settings/config.ts'
import { newSecret } from '../../src/signing.ts'
import { tempFolder } from '../support/temp.ts'
import { fileText, imageEnvironment, instructions, ROOT } from './support.ts'

const FOLDER = 'deploy/kubernetes'
/** Kubernetes' own schema of each kind, and where its type is. */
const KINDS = {
  'apps/v1 Deployment': { model: Deployment, from: 'kubernetes-models/apps/v1' },
  'networking.k8s.io/v1 Ingress': { model: Ingress, from: 'kubernetes-models/networking.k8s.io/v1' },
  'networking.k8s.io/v1 NetworkPolicy': { model: NetworkPolicy, from: 'kubernetes-models/networking.k8s.io/v1' },
  'v1 PersistentVolumeClaim': { model: PersistentVolumeClaim, from: 'kubernetes-models/v1' },
  'policy/v1 PodDisruptionBudget': { model: PodDisruptionBudget, from: 'kubernetes-models/policy/v1' },
  'v1 Secret': { model: Secret, from: 'kubernetes-models/v1' },
  'v1 Service': { model: Service, from: 'kubernetes-models/v1' },
} as const
const Kustomization = z.strictObject({
  apiVersion: z.literal('kustomize.config.k8s.io/v1beta1'),
  kind: z.literal('Kustomization'),
  resources: z.array(z.string()),
  images: z.array(z.strictObject({ name: z.string(), newName: z.string(), newTag: z.string() })),
})

type Manifest = { readonly apiVersion: string; readonly kind: string; readonly metadata: { readonly name: string } }

const files = readdirSync(join(ROOT, FOLDER), { recursive: true, encoding: 'utf8' }).filter((path) =>
  /ya?ml$/.test(path),
)
const paths = files.filter((path) => !path.endsWith('kustomization.yaml')).toSorted()
const read = (path: string): Manifest[] => parseAllDocuments(fileText(join(FOLDER, path))).map((one) => one.toJS())
const kindOf = ({ apiVersion, kind }: Manifest) => `${apiVersion} ${kind}` as keyof typeof KINDS

/** What Kubernetes' schema says against a manifest: values of the wrong type or form, missing fields. */
function schemaErrors(manifest: Manifest): string | null {
  const entry = KINDS[kindOf(manifest)]
  if (!entry) return `${kindOf(manifest)} is of no kind that is checked here`
  try {
    new entry.model(manifest as never).validate()
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/** Fields that Kubernetes does not know, which its schema lets through: the compiler refuses them in a literal. */
function typeErrors(manifests: readonly Manifest[]): string {
  const folder = tempFolder()
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const lines = manifests.map((manifest, index) => {
    const type = `import('${KINDS[kindOf(manifest)].from}').I${manifest.kind}`
    return `export const manifest${index}: ${type} = ${JSON.stringify(manifest)}`
  })
  writeFileSync(join(folder, 'manifests.mts'), lines.join('\n'))
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', '', 'manifests.mts']
  try {
    execFileSync(join(ROOT, 'node_modules/.bin/tsc'), options, { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

const [deployment] = read('deployment.yaml') as unknown as [Deployment & Manifest]
const pod = deployment.spec!.template.spec!
const [container] = pod.containers

describe('Kubernetes manifests', () => {
  it.each(paths)('%s fits the schema of Kubernetes', (path) => {
    for (const manifest of read(path)) expect(schemaErrors(manifest)).toBeNull()
  })

  it('have no field that Kubernetes does not know', () => {
    expect(typeErrors(paths.flatMap(read))).toBe('')
  })

  it.each([
    ['a value of the wrong type', 'replicas: 1', 'replicas: one'],
    ['a number where text is wanted', 'value: "3000"', 'value: 3000'],
    ['a missing field', 'name: receiver\n', 'nam: receiver\n'],
  ])('(the schema refuses %s)', (_what, right, wrong) => {
    expect(schemaErrors(parse(fileText(`${FOLDER}/deployment.yaml`).replace(right, wrong)))).toMatch(/must/)
  })

  it('(the compiler refuses a field that is unknown)', () => {
    const text = fileText(`${FOLDER}/deployment.yaml`).replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem')
    expect(typeErrors([parse(text)])).toMatch(/readOnlyRootFileSystem/)
  })

  it('kustomization.yaml names the files beside it, and an image of this version', () => {
    const { resources, images } = Kustomization.parse(parse(fileText(`${FOLDER}/kustomization.yaml`)))
    expect(resources.toSorted()).toEqual(paths.filter((path) => !path.includes('/')))
    const { version } = JSON.parse(fileText('package.json'))
    expect(images).toEqual([expect.objectContaining({ name: container!.image, newTag: version })])
  })

  it('every name that one refers to is there', () => {
    const all = paths.flatMap(read)
    const names = (kind: string) => all.filter((one) => one.kind === kind).map((one) => one.metadata.name)
    expect(names('PersistentVolumeClaim')).toContain(pod.volumes![0]!.persistentVolumeClaim!.claimName)
    expect(names('Secret')).toContain(container!.envFrom![0]!.secretRef!.name)
    const ingress = all.find((one) => one.kind === 'Ingress') as unknown as Ingress
    for (const { backend } of ingress.spec!.rules![0]!.http!.paths)
      expect(names('Service')).toContain(backend.service!.name)
    const [service] = read('service.yaml') as unknown as [Service]
    expect(deployment.spec!.template.metadata!.labels).toMatchObject(service.spec!.selector!)
  })
})

describe('the pod', () => {
  it('is one at a time, unprivileged, with a read-only root', () => {
    expect(deployment.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } })
    expect(pod).toMatchObject({ enableServiceLinks: false, automountServiceAccountToken: false })
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 1000,
      fsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(container!.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  })

  it('gets settings that are valid, on its volume, and has time to stop', () => {
    const set = Object.fromEntries(container!.env!.map(({ name, value }) => [name, value]))
    const needed = { SVIX_WEBHOOK_SECRET: newSecret(), REDUCTO_API_KEY: 'key' }
    const config = loadConfig({ ...imageEnvironment(), ...needed, ...set })
    expect(config).toMatchObject({ database: { path: '/data/receiver.db' }, results: { path: '/data/results' } })
    expect(container!.volumeMounts).toContainEqual({ name: 'data', mountPath: '/data' })
    expect(container!.ports![0]!.containerPort).toBe(config.port)
    expect(config.shutdownGrace).toBeLessThan(pod.terminationGracePeriodSeconds! * 1_000)
  })

  it('is killed only when the process does not answer, and called only when it can accept', () => {
    expect(container!.startupProbe!.httpGet!.path).toBe('/healthz')
    expect(container!.livenessProbe!.httpGet!.path).toBe('/healthz')
    expect(container!.readinessProbe!.httpGet!.path).toBe('/readyz')
    const { periodSeconds = 0, failureThreshold = 0 } = container!.startupProbe!
    const { handlerTimeout } = loadConfig({ SVIX_WEBHOOK_SECRET: newSecret(), REDUCTO_API_KEY: 'key' })
    expect(periodSeconds * failureThreshold * 1_000).toBeGreaterThan(handlerTimeout)
  })

  it('runs as the user that the image was made for', () => {
    expect(instructions(fileText('Dockerfile'))).toContainEqual(['USER', 'node'])
  })
})

describe('several services on one PostgreSQL', () => {
  const kustomization = Kustomization.parse(parse(fileText(`${FOLDER}/fleet/kustomization.yaml`)))
  const [receivers] = read('fleet/receivers.yaml') as unknown as [Deployment]
  const [workers] = read('fleet/workers.yaml') as unknown as [Deployment]
  const containerOf = (one: Deployment) => one.spec!.template.spec!.containers[0]!
  const settingsOf = (one: Deployment) =>
    Object.fromEntries(containerOf(one).env!.map(({ name, value }) => [name, value]))

  it('are two that receive and two that work, replaced one after another', () => {
    const inFleet = paths.filter((path) => path.startsWith('fleet/')).map((path) => path.slice('fleet/'.length))
    expect(kustomization.resources.toSorted()).toEqual(inFleet)
    for (const one of [receivers, workers])
      expect(one.spec).toMatchObject({
        replicas: 2,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      })
    expect(settingsOf(receivers).WORKER_CONCURRENCY).toBe('0')
    expect(settingsOf(workers).WORKER_CONCURRENCY).toBe('8')
  })

  it('have the settings, probes and rights of the one, no volume, and the database from the secret', () => {
    for (const one of [receivers, workers]) {
      const of = containerOf(one)
      expect(of.startupProbe).toEqual(container!.startupProbe)
      expect(of.readinessProbe).toEqual(container!.readinessProbe)
      expect(of.livenessProbe).toEqual(container!.livenessProbe)
      expect(of.securityContext).toEqual(container!.securityContext)
      expect(of.envFrom).toEqual(container!.envFrom)
      expect(of.volumeMounts).toEqual([{ name: 'tmp', mountPath: '/tmp' }])
      expect(settingsOf(one)).not.toHaveProperty('DATABASE_URL')
      const given = {
        ...{ SVIX_WEBHOOK_SECRET: newSecret(), REDUCTO_API_KEY: 'key', RESULTS_URL: 's3://results/receiver' },
        DATABASE_URL: 'postgres://receiver:secret@db.internal/receiver?sslmode=verify-full',
      }
      const config = loadConfig({ ...imageEnvironment(), ...given, ...settingsOf(one) })
      expect(config).toMatchObject({ database: { kind: 'postgres' }, results: { kind: 's3' } })
      const { terminationGracePeriodSeconds } = one.spec!.template.spec!
      expect(config.shutdownGrace).toBeLessThan(terminationGracePeriodSeconds! * 1_000)
    }
  })

  it('are found by their Service and their budgets', () => {
    const [service] = read('fleet/service.yaml') as unknown as [Service]
    expect(receivers.spec!.template.metadata!.labels).toMatchObject(service.spec!.selector!)
    expect(workers.spec!.template.metadata!.labels).not.toMatchObject(service.spec!.selector!)
    const budgets = read('fleet/budgets.yaml') as unknown as PodDisruptionBudget[]
    for (const [index, one] of [receivers, workers].entries())
      expect(one.spec!.template.metadata!.labels).toMatchObject(budgets[index]!.spec!.selector!.matchLabels!)
  })
})
