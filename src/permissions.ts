import { accessSync, constants, lstatSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Throws as `fs.accessSync` does. */
type Access = (path: string, mode: number) => void

/**
 * Why this process cannot create files in a folder, which may not exist yet; null when it can. Names the folder, or the
 * one above it that is the obstacle, its owner, this process's user, and what to do.
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

/** The same for a file to read and write; null also when there is none. Never opens it. */
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
    return lstatSync(path, { throwIfNoEntry: false }) ? `${path} is a link to something that does not exist` : null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // The obstacle is a folder above, which is checked next.
    return code === 'EACCES' || code === 'ENOTDIR' ? null : `${path} cannot be used (${code})`
  }
}

/** Files below these are kernel settings or devices, or are gone at the next start. */
const KERNEL_FOLDERS = ['/proc', '/sys', '/dev'] as const

/** Why a path cannot keep files, as far as its name shows; null otherwise. */
export function whyNothingIsKept(path: string): string | null {
  const asked = resolve(path)
  const folder = KERNEL_FOLDERS.find((one) => asked === one || asked.startsWith(`${one}/`))
  return folder ? `lies in ${folder}, where the kernel keeps no files: name a path on a disk` : null
}

function denied(path: string, mode: number, access: Access): string | null {
  try {
    // Follows links.
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

/**
 * `belongs to root (uid 0), mode 755, and this process runs as uid 1000`: the owner of a path, as far as it is visible.
 */
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
