import { join } from 'node:path'

/** The settings of a service on a simulated Reducto, which keeps all its data in `folder`. */
export function simulatedSettings(reducto: { url: string; apiKey: string }, folder: string, secret: string) {
  return {
    SVIX_WEBHOOK_SECRET: secret,
    REDUCTO_API_KEY: reducto.apiKey,
    REDUCTO_BASE_URL: reducto.url,
    DOWNLOAD_ALLOW_PRIVATE_HOSTS: '127.0.0.1',
    DATABASE_URL: `sqlite:${join(folder, 'receiver.db')}`,
    RESULTS_URL: `file:${join(folder, 'results')}`,
    MIN_FREE_DISK: '0',
    SHUTDOWN_GRACE: '0ms',
  } as const
}
