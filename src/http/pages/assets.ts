import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { RequestHandler } from 'express'
import { NOT_FOUND, sendRefusal } from '../replies.ts'
import type { Route } from '../routes.ts'

/** The style, the scripts, the font: read once, and served under a name that changes with them. */

const TYPES = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  woff2: 'font/woff2',
} as const

const OWN = ['style.css', 'icon.svg', 'page.js', 'live.js', 'keys.js', 'shared.js'] as const

type Asset = { readonly type: string; readonly body: Buffer }

export type Assets = {
  /** The folder of them all, from the root of the pages. */
  readonly folder: string
  readonly handle: RequestHandler
}

export function loadAssets(): Assets {
  const assets = new Map<string, Asset>()
  for (const name of OWN) add(name, own(name))
  add('idiomorph.js', packaged(import.meta.resolve('idiomorph/dist/idiomorph.esm.js')))
  add('inter.woff2', packaged(import.meta.resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2')))

  function add(name: string, body: Buffer): void {
    const type = TYPES[name.split('.').at(-1) as keyof typeof TYPES]
    assets.set(name, { type, body })
  }

  const hash = createHash('sha256')
  for (const { body } of assets.values()) hash.update(body)
  const folder = `assets/${hash.digest('hex').slice(0, 12)}`
  return {
    folder,
    handle(request, response) {
      const asset = assets.get(String(request.params.name))
      if (!asset || `assets/${request.params.hash}` !== folder) return sendRefusal(request, response, NOT_FOUND)
      response.setHeader('cache-control', 'public, max-age=31536000, immutable')
      response.setHeader('content-type', asset.type)
      response.setHeader('content-length', asset.body.length)
      response.end(request.method === 'HEAD' ? undefined : asset.body)
    },
  }
}

function own(name: string): Buffer {
  const text = readFileSync(new URL(`../../operator/assets/${name}`, import.meta.url))
  // A browser knows no names of packages.
  return name.endsWith('.js') ? Buffer.from(text.toString().replace(/'idiomorph'/, "'./idiomorph.js'")) : text
}

function packaged(url: string): Buffer {
  return readFileSync(fileURLToPath(url))
}

export function assetsRoute({ handle }: Assets): Route {
  return { method: 'GET', path: '/assets/:hash/:name', caller: 'visitor', handle }
}
