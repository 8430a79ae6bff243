import type { Given } from './given.ts'
import { separated } from './parsers.ts'
import { SETTINGS } from './settings.ts'

/** What must hold between the settings of the operator's routes. None of them may be without effect. */

export function adminProblems({ ADMIN_TOKEN, ADMIN_READ_TOKEN }: Given): string[] {
  if (ADMIN_READ_TOKEN === undefined) return []
  if (ADMIN_TOKEN === undefined)
    return ['ADMIN_TOKEN: is required with ADMIN_READ_TOKEN: without it there are no routes for operators']
  const writing = separated(ADMIN_TOKEN)
  return separated(ADMIN_READ_TOKEN).some((token) => writing.includes(token))
    ? ['ADMIN_READ_TOKEN: must be another token than those of ADMIN_TOKEN, which may change things']
    : []
}

export function alertProblems({ ALERT_URL, ALERT_SECRET }: Given): string[] {
  if (ALERT_URL !== undefined && ALERT_SECRET === undefined)
    return ['ALERT_SECRET: is required with ALERT_URL; create one with: echo "whsec_$(openssl rand -base64 24)"']
  return ALERT_SECRET !== undefined && ALERT_URL === undefined ? ['ALERT_URL: is required with ALERT_SECRET'] : []
}

export function hideProblems({ ADMIN_HIDE_CONTENT, ADMIN_TOKEN }: Given): string[] {
  return ADMIN_HIDE_CONTENT === 'on' && ADMIN_TOKEN === undefined
    ? ['ADMIN_TOKEN: is required with ADMIN_HIDE_CONTENT: without it there are no pages that show content']
    : []
}

export function adminPortProblems({ ADMIN_PORT, ADMIN_TOKEN, PORT }: Given): string[] {
  if (ADMIN_PORT === undefined) return []
  const isTaken = Number(ADMIN_PORT) !== 0 && Number(ADMIN_PORT) === Number(PORT ?? SETTINGS.PORT.default)
  return [
    ...(ADMIN_TOKEN === undefined
      ? ['ADMIN_TOKEN: is required with ADMIN_PORT; make one with: openssl rand -hex 24']
      : []),
    ...(isTaken ? ['ADMIN_PORT: must be another port than PORT'] : []),
  ]
}
