import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tempFolder } from '../support/temp.ts'

export type Certificate = { readonly cert: string; readonly key: string; readonly ca: string }

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

/** A certificate of an authority of the test's own. `ca`: the file with that authority, for NODE_EXTRA_CA_CERTS. */
export function makeCertificate(
  made: { readonly names?: readonly string[]; readonly days?: number } = {},
): Certificate {
  const { names = ['localhost'], days = 90 } = made
  const folder = tempFolder()
  const path = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-days', '90', '-subj', '/CN=authority.test', '-out', 'ca.pem')
  openssl('req', '-new', ...key, '-keyout', 'leaf.key', '-subj', `/CN=${names[0]}`, '-out', 'leaf.csr')
  writeFileSync(path('ext'), `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`)
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'ext']
  openssl('x509', '-req', '-in', 'leaf.csr', ...signing, '-days', String(days), '-out', 'leaf.pem')
  return {
    cert: readFileSync(path('leaf.pem'), 'utf8'),
    key: readFileSync(path('leaf.key'), 'utf8'),
    ca: path('ca.pem'),
  }
}
