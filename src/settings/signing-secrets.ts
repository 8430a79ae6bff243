import { separated } from './parsers.ts'

/**
 * The problem of a signing secret, or null. Svix's library accepts secrets with which nothing verifies (stray
 * characters make another key) or that are far too weak: the standard demands 24 to 64 bytes, Svix makes up to 75.
 */
function secretProblem(secret: string): string | null {
  if (/["'`]/.test(secret)) return 'must be without quotes'
  if (!secret.startsWith('whsec_')) return 'must begin with whsec_'
  const base64 = secret.slice('whsec_'.length)
  const key = Buffer.from(base64, 'base64')
  if (key.toString('base64') !== base64) return 'is not canonical base64 after whsec_ (cut off, or stray characters?)'
  if (key.length < 24 || key.length > 75) return `has a key of ${key.length} bytes, where 24 to 75 are expected`
  return null
}

/** Several during a rotation. `cure`: where to get a valid one. */
export function signingSecrets(cure: string): (text: string) => readonly string[] {
  return (text) => {
    const secrets = separated(text)
    if (secrets.length === 0) throw new Error('holds no secret')
    const problem = secrets.map(secretProblem).find((found) => found !== null)
    if (problem) throw new Error(`${problem}; ${cure}`)
    return secrets
  }
}

export function apiKey(text: string): string {
  if (!/^[\x21-\x7e]+$/.test(text) || /["'`]/.test(text))
    throw new Error('must be without spaces, quotes and line breaks')
  return text
}

export function directToken(text: string): string {
  if (!/^[A-Za-z0-9_~.-]{24,}$/.test(text))
    throw new Error('must be at least 24 characters of A-Z a-z 0-9 - _ . ~ (try: openssl rand -hex 24)')
  return text
}

const MIN_ADMIN_TOKEN = 16
/** Much longer ones would not fit into the 16 KiB that all headers of a request may have. Characters. */
const MAX_ADMIN_TOKEN = 1_024

/** Several while one is rotated. */
export function adminTokens(text: string): readonly string[] {
  const tokens = separated(text)
  if (tokens.length === 0) throw new Error('holds no token')
  for (const token of tokens) {
    if (!/^[\x21-\x7e]+$/.test(token) || /["'`]/.test(token))
      throw new Error('must be of visible ASCII characters, without quotes (try: openssl rand -hex 24)')
    if (token.length < MIN_ADMIN_TOKEN || token.length > MAX_ADMIN_TOKEN)
      throw new Error(
        `must be of ${MIN_ADMIN_TOKEN} to ${MAX_ADMIN_TOKEN} characters, each of several too (try: openssl rand -hex 24)`,
      )
  }
  return tokens
}
