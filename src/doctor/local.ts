import type { Settings } from './context.ts'

/** Where this machine reaches the service; null when its port is any free one. */
export function localUrl(settings: Settings, port: number): string | null {
  if (port === 0) return null
  const host = settings.get('host')
  // An address that takes connections on all of the machine's is reached on its own.
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}`
}
