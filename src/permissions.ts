import { accessSync, constants, lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Throws as `fs.accessSync` does. */
type Access = (path: string, mode: number) => void

/**
 * Why this process cannot make files in a folder, which may yet have to be made; null when it can. Names the folder
 * or the one above it that is in the way, its owner, who we are, and what to do.
 */
export function whyNoFolder(path: string, access: Access = accessSync): string | null {
  const asked = resolve(path)
  for (let folder = asked; ; folder = dirname(folder)) {
    const found = look(folder)
    if (typeof found === 'string') return found
    if (found === null && folder !== dirname(folder)) continue
    if (found !== null && !found.isDirectory()) return `${folder} is not a folder`
    return denied(folder, constants.R_OK | constants.W_OK | constants.X_OK, access)
  }
}

/** The same for a file that is read and written; null also when there is none. Never opens it. */
export function whyNoFile(path: string, access: Access = accessSync): string | null {
  const found = look(path)
  if (found === null || typeof found === 'string') return found
  if (!found.isFile()) return `${path} is not a file`
  return denied(path, constants.R_OK | constants.W_OK, access)
}

function look(path: string): Stats | string | null {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found) return found
    return lstatSync(path, { throwIfNoEntry: false }) ? `${path} is a link to something that is not there` : null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Of a folder above, which the next look is at.
    return code === 'EACCES' || code === 'ENOTDIR' ? null : `${path} cannot be used (${code})`
  }
}

/** What is written below these is a setting of the kernel or a device, or is gone at the next start. */
const KERNEL_FOLDERS = ['/proc', '/sys', '/dev'] as const

/** Why nothing can be kept at a path, as far as its name tells; null when it does not. */
export function whyNothingIsKept(path: string): string | null {
  const asked = resolve(path)
  const folder = KERNEL_FOLDERS.find((one) => asked === one || asked.startsWith(`${one}/`))
  return folder ? `lies in ${folder}, where the kernel keeps no files: name a path on a disk` : null
}

function denied(path: string, mode: number, access: Access): string | null {
  try {
    // Where links lead.
    const real = realpathSync(path)
    const why = whyNothingIsKept(real)
    if (why) return `${path}${real === path ? '' : ` (${real})`} ${why}`
    access(path, mode)
    return null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EROFS') return `${path} is on a file system that is mounted read-only: mount it writable`
    if (code !== 'EACCES' && code !== 'EPERM') return `${path} cannot be used (${code})`
    return `${path} ${ownership(path)}: ${cure(path)}`
  }
}

/** `belongs to root (uid 0), mode 755, and this process runs as uid 1000`: whose a path is, as far as we may see. */
export function ownership(path: string): string {
  const us = `this process runs as uid ${process.getuid?.()}`
  try {
    const { uid, mode } = statSync(path)
    const owner = uid === 0 ? 'root (uid 0)' : `uid ${uid}`
    return `belongs to ${owner}, mode ${(mode & 0o777).toString(8)}, and ${us}`
  } catch {
    return `is in a folder of another user, and ${us}`
  }
}

function cure(path: string): string {
  const us = `${process.getuid?.()}:${process.getgid?.()}`
  return `chown -R ${us} ${path}, or start it as the owner (Docker: --user; Kubernetes: securityContext.fsGroup)`
}
